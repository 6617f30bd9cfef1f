#!/bin/bash
# slipgate(1) and the completions know every command and every option of --help.
#
#   manual.sh PROGRAM FOLDER
set -euo pipefail
program=$1 folder=$2
missing() { echo "manual: $1 does not have $2" >&2; exit 1; }
# shellcheck source=/dev/null
source "$folder/slipgate.bash"
COMP_WORDS=(slipgate '') COMP_CWORD=1
_slipgate
offered=" ${COMPREPLY[*]} "
commands=$("$program" --help | sed -n 's/^  slipgate \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -gt 10 ] || missing --help "its commands"
count=0
for command in $commands; do
  [[ $offered == *" $command "* ]] || missing completion "$command"
  grep -q "^  '$command:" "$folder/_slipgate" || missing _slipgate "$command"
  [ "$command" != wg ] || continue
  grep -qF ".SH \"slipgate $command\"" "$folder/slipgate.1" || missing slipgate.1 "$command"
  COMP_WORDS=(slipgate "$command" --) COMP_CWORD=2
  _slipgate
  known=" ${COMPREPLY[*]} "
  page=$(sed -n "/^.SH \"slipgate $command\"/,/^.SH \"EXIT/p" "$folder/slipgate.1")
  help=$("$program" "$command" --help)
  for option in $(grep -oE '^  (-[a-zA-Z], |    )--[a-z0-9-]+' <<<"$help" | grep -oE -- '--[a-z0-9-]+'); do
    [[ $known == *" $option "* ]] || missing "the completion of $command" "$option"
    [[ $page == *"\\fB${option//-/\\-}\\fP"* ]] || missing "slipgate.1 about $command" "$option"
    count=$((count + 1))
  done
done
[ $count -gt 100 ] || missing --help "its options"
echo "manual: $count options, as --help has them"
