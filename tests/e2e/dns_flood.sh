#!/bin/bash
# A hundred thousand questions that nobody answers cost another client none of its own, and no memory that stays.
#
#   flood in one, steady in two ──── slipgate 10.7.0.1 ──── a resolver that never answers below hole.test
# not sanitized: a sanitizer's memory is not ours
. "$(dirname "$0")/../support/harness.sh"
background resolver in_server python3 "$here/dns.py" resolver hole.test
wait_for 10 in_server dig +tries=1 +time=1 @203.0.113.2 any.test A
gateway
client one
client two
steady() { in_client two python3 "$here/dns.py" steady 10.7.0.1 "$1" fine.test; }
field() { python3 -c "import json, sys; print(json.load(open('$W/$1'))['$2'])"; }

steady 1 >"$W/before"
before=$(resident)
background flood in_client one python3 "$here/dns.py" flood 10.7.0.1 100000 hole.test
steady 4 >"$W/during"
wait_for 20 test -s "$W/flood.log"
peak=$(resident)
[ "$(field during failed)" = 0 ] || fail "questions of another were lost: $(cat "$W/during")"
[ "$(field during asked)" -gt 100 ] || fail "another could hardly ask: $(cat "$W/during")"
[ $((peak - before)) -lt 32768 ] || fail "the flood took $((peak - before)) kB"

# What waits is given up; who flooded is served again.
served() { in_client one dig +short +tries=1 +time=1 @10.7.0.1 "again-$RANDOM.fine.test" A | grep -q 192.0.2.1; }
wait_for 15 served
echo "alone $(cat "$W/before"), with the flood $(cat "$W/during"), memory $before kB, then $peak kB"
