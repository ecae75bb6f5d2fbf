#!/bin/sh
# Verifies a list every night: nightly.sh LIST OUT [FLAGS OF listproof verify]
#
# LIST is the whole list, every night. Answers of earlier nights are stored, so that only new, unknown and expired
# addresses are probed. A run that was stopped (deadline, signal, reboot) is continued.
set -eu

list=$1 out=$2
shift 2

code=0
"${LISTPROOF:-listproof}" verify "$list" -o "$out" --quiet "$@" || code=$?

case $code in
10 | 130 | 143) echo "stopped early ($code): the next run continues" >&2 ;;
11) echo "another run uses the state" >&2 ;;
12) echo "no mail server can be probed from here: see the summary in $out" >&2 ;;
esac
exit "$code"
