#!/bin/bash
# Two clients behind two gateways punch UDP: each learns the other's mapped address from a rendezvous, and they talk
# directly; a third address reaches the mapped port. A probe after RFC 5780 says why.
#
#   one ──── slipgate ──── server ──── slipgate ──── two
#            203.0.113.1   .2,  192.0.2.2   192.0.2.1
. "$(dirname "$0")/../support/harness.sh"
namespace second 192.0.2.2
in_second() { ip netns exec "$T-second" "$@"; }
link wan "198.51.101.2/24" second "198.51.101.1/24"
link second "192.0.2.1/24 2001:db8:192::1/64" server "192.0.2.2/24 192.0.2.3/24 2001:db8:192::2/64 2001:db8:192::3/64"
ip -n "$T-second" route add default via 192.0.2.2
ip -n "$T-second" -6 route add default via 2001:db8:192::2
ip -n "$T-gateway" -6 route add default via 2001:db8:203::2
in_server sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

nat=$here/nat.py
background four in_server python3 "$nat" server 192.0.2.2 192.0.2.3
background six in_server python3 "$nat" server 2001:db8:192::2 2001:db8:192::3
for name in four six; do wait_for 10 grep -q ready "$W/$name.log"; done
gateway
mkdir -m 700 "$W/user/second"
chown $ORDINARY "$W/user/second"
background second_gateway in_second setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups --no-new-privs --inh-caps=-all \
  --bounding-set=-all -- env XDG_RUNTIME_DIR="$W/user/second" "$PROGRAM" wireguard "$W/user/gateway.conf"
wait_for 10 grep -q serving "$W/second_gateway.log"
client one
client_endpoint=198.51.101.1:51820 client two

for servers in "192.0.2.2 192.0.2.3" "2001:db8:192::2 2001:db8:192::3"; do
  for name in one two; do
    expect "mapping: endpoint-independent; filtering: endpoint-independent" in_client $name python3 "$nat" probe $servers
  done
  background punching in_client two python3 "$nat" punch two one $servers
  first=${servers% *}
  there=192.0.2.1
  [[ $first != *:* ]] || there=2001:db8:192::1
  expect "one talks to two at $there " in_client one python3 "$nat" punch one two $servers
  here_address=203.0.113.1
  [[ $first != *:* ]] || here_address=2001:db8:203::1
  wait_for 10 grep -q "two talks to one at $here_address .*; a stranger came through" "$W/punching.log"
done
