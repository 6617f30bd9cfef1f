#!/bin/bash
# Urgent bytes, a closed window, keepalive, resets, an end from both sides at once, and a side that forgot its connection:
# two kernels with the gateway between them behave as without.
#
#   one ──── slipgate ──── server
. "$(dirname "$0")/../support/harness.sh"
background states in_server python3 "$here/tcp_states.py" server
wait_for 10 grep -q ready "$W/states.log"
gateway
client one

for server in 203.0.113.2 2001:db8:203::2; do
  in_client one python3 "$here/tcp_states.py" client $server || fail "a row is wrong"
done
