#!/bin/bash
# Peers are known by their names: NAME.DOMAIN has their addresses, their addresses have that name; who is added or goes
# while the gateway runs, too.
#
#   dig in one, two ──── slipgate 10.7.0.1 (no resolver is up)
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
peers() { # the file with these peers: NAME KEY ALLOWED...
  [ -e "$W/user/gateway.conf" ] || write_config
  sed '/^\[Peer\]/,$d' "$W/user/gateway.conf" >"$W/interface"
  {
    cat "$W/interface"
    while [ $# -gt 0 ]; do
      printf '\n# %s\n[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "$1" "$2" "$3"
      [ "$1" != one ] || printf 'PresharedKey = %s\n' "$PRESHARED"
      shift 3
    done
  } >"$W/peers"
  cat "$W/peers" >"$W/user/gateway.conf"
}
peers one "$PUBLIC_one" 10.7.0.2/32,fd07::2/128 two "$PUBLIC_two" 10.7.0.3/32,fd07::3/128
gateway
client one
who=one
ask() { in_client $who dig +short +tries=2 +time=3 @10.7.0.1 "$@"; }
status() { in_client $who dig +tries=2 +time=3 @10.7.0.1 "$@" | sed -n "s/.*status: \([A-Z]*\).*/\1/p"; }
is() { local want=$1; shift; [ "$("$@")" = "$want" ] || fail "not $want but $("$@"): $*"; }

is 10.7.0.2 ask one.gateway.internal A
is fd07::2 ask +tcp One.Gateway.Internal AAAA
is 10.7.0.3 ask two.gateway.internal A
is 10.7.0.1 ask gateway.internal A
is two.gateway.internal. ask -x 10.7.0.3
is two.gateway.internal. ask -x fd07::3
is gateway.internal. ask -x 10.7.0.1
is NXDOMAIN status three.gateway.internal A
is NOERROR status one.gateway.internal MX

# one more in the file, one less
peers one "$PUBLIC_one" 10.7.0.2/32,fd07::2/128 "Third box" "$(wg genkey | wg pubkey)" 10.7.0.9/32,192.168.9.0/24
kill -HUP "${pid[gateway]}"
third_known() { [ "$(ask third-box.gateway.internal A)" = 10.7.0.9 ]; }
wait_for 5 third_known
is NXDOMAIN status two.gateway.internal A
is third-box.gateway.internal. ask -x 10.7.0.9

# another domain
stop_gateway
peers two "$PUBLIC_two" 10.7.0.3/32,fd07::3/128
gateway --domain corp.example
client two
who=two
is 10.7.0.3 ask two.corp.example A
is two.corp.example. ask -x fd07::3
is NXDOMAIN status one.corp.example A
