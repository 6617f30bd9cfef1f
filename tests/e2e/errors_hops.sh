#!/bin/bash
# A packet from inside has passed one hop when it leaves the gateway: a TTL that runs out here or behind is told as by
# routers, and traceroute and tracepath see the way.
#
#   one ──── slipgate ──── router ──── far
#            hop 1         hop 2       hop 3
. "$(dirname "$0")/../support/harness.sh"
. "$here/far_net.sh"
gateway
client one
in_client one sysctl -qw net.ipv4.ping_group_range="0 2147483647"

in_client one python3 "$here/errors.py" hops || fail "a row is wrong"

way() { grep -v pmtu | sed -n 's/^ *\([0-9]\+\):\? \+\([0-9a-f.:]\+\) .*/\1 \2/p' | sort -u | tr '\n' ' '; } # "HOP ADDRESS HOP ADDRESS ..."
for family in 4 6; do
  case $family in
    4) far=198.18.1.2 expected="1 10.7.0.1 2 198.18.0.2 3 $far " ;;
    6) far=2001:db8:18:1::2 expected="1 fd07::1 2 2001:db8:18::2 3 $far " ;;
  esac
  for method in "" -I -T; do
    seen=$(in_client one traceroute -$family -n -q 2 -w 2 $method $far | way)
    [ "$seen" = "$expected" ] || fail "traceroute $method $far: $seen"
  done
  seen=$(in_client one tracepath -$family -n $far | tee "$W/tracepath.log" | way)
  [ "$seen" = "$expected" ] || fail "tracepath $far: $(cat "$W/tracepath.log")"
  grep -q "Resume: pmtu 1300 hops 3 back 3" "$W/tracepath.log" || fail "tracepath $far: $(cat "$W/tracepath.log")"
done
