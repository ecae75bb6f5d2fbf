#!/bin/sh
# Verifies a list every night: nightly.sh LIST OUT [FLAGS OF listproof verify]
#
# LIST is the whole list, every night. What earlier nights found out is kept, so only who is new, stayed unknown or was
# asked too long ago is asked about; and a night that was stopped (deadline, signal, reboot) is gone on with.
set -eu

list=$1 out=$2
shift 2

code=0
"${LISTPROOF:-listproof}" verify "$list" -o "$out" --quiet "$@" || code=$?

case $code in
10 | 130 | 143) echo "stopped early ($code): the next run goes on" >&2 ;;
11) echo "another run is at it" >&2 ;;
12) echo "nobody can be asked from here: see the summary in $out" >&2 ;;
esac
exit "$code"
