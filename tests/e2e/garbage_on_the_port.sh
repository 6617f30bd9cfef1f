#!/bin/bash
# Thousands of senseless datagrams on the WireGuard port harm nobody.
#
#   garbage from 198.51.100.3 ──┬── slipgate
#   one ────────────────────────┘
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

background garbage in_wan python3 "$peer_tool" garbage 198.51.100.1 51820 20000
peer one many 203.0.113.2 200
wait_for 20 grep -q "20000 datagrams" "$W/garbage.log"
in_wan python3 "$peer_tool" garbage 2001:db8:100::1 51820 2000
expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 10.7.0.1
[ "$(wc -l <"$W/gateway.log")" -lt 200 ] || fail "the log grew to $(wc -l <"$W/gateway.log") lines"
