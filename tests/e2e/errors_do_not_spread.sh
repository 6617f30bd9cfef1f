#!/bin/bash
# A socket that writes to many: what one destination answers costs no other a datagram.
#
#   one ──── slipgate ──── router ──── far, and eight kinds of nowhere
. "$(dirname "$0")/../support/harness.sh"
. "$here/far_net.sh"
background servers in_far python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/servers.log"
gateway
client one

in_client one python3 "$here/errors.py" spread || fail "a row is wrong"
