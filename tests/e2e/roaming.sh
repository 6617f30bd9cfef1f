#!/bin/bash
# A client changes its outer address; its open connection goes on.
#
#   one ── 198.51.100.2, then 198.51.100.3 ──── slipgate ──── echo 203.0.113.2:7000
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

conversation session in_client one python3 "$peer_tool" keep 203.0.113.2
wait_for 10 heard session open
say session "before"
wait_for 10 heard session alive
# A new address, and a new socket as mobile systems make one then.
ip -n "$T-wan" addr del 198.51.100.3/24 dev to-gateway
ip -n "$T-wan" addr del 198.51.100.2/24 dev to-gateway
ip -n "$T-wan" addr add 198.51.100.3/24 dev to-gateway
wg set "${T}one" listen-port 40001
say session "after"
wait_for 15 heard session alive 2
