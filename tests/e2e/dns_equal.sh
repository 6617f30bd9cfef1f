#!/bin/bash
# What a client hears from the gateway is what the host's resolver says: every type, NXDOMAIN, NODATA, chains of CNAMEs,
# over UDP, UDP with EDNS and TCP, from upstream and from the cache.
#
#   dns.py compare in one ──┬── slipgate 10.7.0.1 ──── NSD 203.0.113.2
#                           └── slipgate, as any other flow ──── NSD 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
name_server
gateway
client one
in_client one python3 "$here/dns.py" compare 203.0.113.2 10.7.0.1 100 >"$W/compare.log" || {
  head -n 40 "$W/compare.log"
  fail "$(tail -n 1 "$W/compare.log")"
}
# The zones hold what the comparison is about.
expect "0 differences; codes {0: " tail -n 1 "$W/compare.log"
expect "3: " tail -n 1 "$W/compare.log"
grep -q ", 0 truncated" "$W/compare.log" && fail "nothing was truncated"
cat "$W/compare.log"
