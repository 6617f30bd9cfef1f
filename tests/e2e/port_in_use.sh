#!/bin/bash
# The WireGuard port is taken: one clear line, exit 1.
. "$(dirname "$0")/../support/harness.sh"
gateway
cp "$W/user/gateway.conf" "$W/user/second.conf"
chown $ORDINARY "$W/user/second.conf"
status=0
output=$(in_gateway setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups timeout 10 \
  "$PROGRAM" wireguard "$W/user/second.conf" 2>&1) || status=$?
[ $status = 1 ] || fail "exit code $status: $output"
grep -qi "51820.*in use" <<<"$output" || fail "no clear line: $output"
