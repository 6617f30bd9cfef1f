#!/bin/bash
# `peer add` writes the next free address into the wg-quick file, and a running gateway serves the new peer at once;
# `peer remove` ends it.
#
#   phone ──── slipgate wireguard gateway.conf, to which `slipgate peer add phone` adds
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
gateway
peer_command() {
  XDG_RUNTIME_DIR=$W/user HOME=$W/user in_gateway setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups \
    "$PROGRAM" peer "$@" --config "$W/user/gateway.conf"
}
peer_command add phone --endpoint 198.51.100.1 >"$W/phone.conf" 2>"$W/add.log" || fail "peer add: $(cat "$W/add.log")"
grep -q "10.7.0.4" "$W/phone.conf" || fail "not the next free address: $(cat "$W/phone.conf")"
[ "$(stat -c %a "$W/user/gateway.conf")" = 600 ] || fail "the file's mode changed"
expect phone peer_command list

# The printed file, as wg-quick would use it.
KEY_one=$(sed -n 's/^PrivateKey *= *//p' "$W/phone.conf")
PRESHARED=$(sed -n 's/^PresharedKey *= *//p' "$W/phone.conf")
[ -n "$PRESHARED" ] || PRESHARED=$(printf 'A%.0s' {1..43})=
client one
ip -n "$T-one" addr del 10.7.0.2/32 dev "${T}one"
ip -n "$T-one" addr add 10.7.0.4/32 dev "${T}one"
ip -n "$T-one" route replace default dev "${T}one" src 10.7.0.4
expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 10.7.0.1

peer_command remove phone 2>"$W/remove.log" || fail "peer remove: $(cat "$W/remove.log")"
expect_status 1 in_client one ping -n -c 2 -i 0.2 -W 1 10.7.0.1
