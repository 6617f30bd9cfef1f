#!/bin/bash
# A client that begins new handshakes, and one that starts anew, keeps its connections.
#
#   one ──── slipgate ──── echo 203.0.113.2:7000
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

conversation session in_client one python3 "$peer_tool" keep 203.0.113.2
wait_for 10 heard session open
for round in 1 2 3; do # forgetting the peer throws its session away: the next packet begins a handshake
  wg set "${T}one" peer "$PUBLIC_gateway" remove
  wg setconf "${T}one" "$W/one.conf"
  [ "$(handshake_time one)" = "" ] || [ "$(handshake_time one)" = 0 ] || fail "there is still a session"
  say session "round $round"
  wait_for 15 heard session alive $round
  [ "$(handshake_time one)" -gt 0 ] || fail "no new handshake"
done
