#!/bin/sh
# Verifies a list every night: nightly.sh LIST OUT [FLAGS OF listproof verify]
#
# What stays unknown is the next night's list, until nothing is left or LIST is newer. A run that was stopped (deadline,
# signal, reboot) goes on: the same command over the same list asks nobody twice.
set -eu

list=$1 out=$2
shift 2
again=$out/again.csv
mkdir -p -m 700 "$out"

todo=$list
if [ -s "$again" ] && [ ! "$list" -nt "$again" ]; then
    todo=$again
fi
stem=$(basename "$todo")
stem=${stem%.*}

code=0
"${LISTPROOF:-listproof}" verify "$todo" -o "$out" --quiet "$@" || code=$?

case $code in
0 | 3 | 4)
    # Finished; 3 and 4 are gates of yours (--max-unknown, --fail-if). One line is the header alone.
    cp "$out/$stem.retry.csv" "$out/.again"
    if [ "$(wc -l <"$out/.again")" -gt 1 ]; then
        mv "$out/.again" "$again"
    else
        rm -f "$out/.again" "$again"
    fi
    ;;
10 | 130 | 143) echo "stopped early ($code): the next run goes on with $todo" >&2 ;;
11) echo "another run is at it" >&2 ;;
12) echo "nobody can be asked from here: see the summary in $out" >&2 ;;
esac
exit "$code"
