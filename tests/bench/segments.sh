#!/bin/bash
# Instructions per segment of the stack's path, counted by callgrind and compared with what is stored in
# segments.expected: more than 2 % more fails. The counts are the compiler's, so each compiler has its own.
#
#   segments.sh [--record]
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${SEGMENTS:-$here/../../build/release/bin/segments}
compiler=${COMPILER:-gnu-12-Release}
expected=$here/segments.expected
command -v valgrind >/dev/null || { echo "SKIPPED: no valgrind"; exit 77; }
W=$(mktemp -d "${TMPDIR:-/tmp}/slipgate-bench.XXXXXX")
trap 'rm -rf "$W"' EXIT

# A copy by `rep movsb` would count as one instruction a byte.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000

# instructions CASE COUNT: of one segment (or connection)
instructions() {
  local done collected
  done=$(valgrind -q --tool=callgrind --toggle-collect='*counted_*' --callgrind-out-file="$W/$1" "$program" "$1" "$2" 2>"$W/log") ||
    { cat "$W/log"; exit 1; }
  collected=$(awk '/^(summary|totals):/ {print $2; exit}' "$W/$1")
  echo $((collected / done))
}

status=0
for case in in in-single out connections; do
  count=8000
  [ $case != connections ] || count=1000
  now=$(instructions $case $count)
  before=$(awk -v compiler="$compiler" -v name="$case" '$1 == compiler && $2 == name {print $3}' "$expected" 2>/dev/null || true)
  echo "instructions $case $now ${before:-unknown}"
  if [ "${1:-}" = --record ]; then
    { grep -v "^$compiler $case " "$expected" 2>/dev/null || true; echo "$compiler $case $now"; } | LC_ALL=C sort >"$W/expected"
    cp "$W/expected" "$expected"
  elif [ -z "$before" ]; then
    status=77
  elif [ $((now * 100)) -gt $((before * 102)) ]; then
    echo "FAILED: $case takes $now instructions, more than 2 % over the $before in segments.expected"
    exit 1
  elif [ $((now * 100)) -lt $((before * 98)) ]; then
    echo "$case takes $now instructions instead of $before: record it (segments.sh --record), so that it stays so"
  fi
done
[ $status = 0 ] || echo "SKIPPED: $expected knows no counts of $compiler (segments.sh --record)"
exit $status
