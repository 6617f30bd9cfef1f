#!/bin/bash
# Datagrams keep DSCP and ECN both ways and lose one hop; what is sent to many is refused, and counted.
#
#   one ──── slipgate ──── router ──── far
. "$(dirname "$0")/../support/harness.sh"
. "$here/far_net.sh"
background headers in_far python3 "$here/errors.py" serve-headers
wait_for 10 grep -q ready "$W/headers.log"
gateway
client one

in_client one python3 "$here/errors.py" headers || fail "a row is wrong"
in_client one python3 "$here/errors.py" sent-to-many || fail "a row is wrong"
expect '"denied_by_policy":4' env XDG_RUNTIME_DIR="$W/user" ip netns exec "$T-gateway" "$PROGRAM" status --json
