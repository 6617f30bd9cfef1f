#!/bin/bash
# `slipgate tun CONF` makes an interface with addresses, MTU and routes, a default route beside the one that its own
# datagrams leave by; both families, large transfers both ways, datagrams of every size; its end leaves nothing behind.
#
#   wan: slipgate tun (10.7.0.2, everything into the tunnel) ──── slipgate ──── 203.0.113.2, 2001:db8:203::2
. "$(dirname "$0")/../support/harness.sh"
servers
ended() { ! kill -0 "${pid[$1]}" 2>/dev/null; }
gateway

cat >"$W/one.conf" <<CONF
[Interface]
PrivateKey = $KEY_one
Address = 10.7.0.2/32, fd07::2/128
MTU = 1412
[Peer]
PublicKey = $PUBLIC_gateway
PresharedKey = $PRESHARED
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 198.51.100.1:51820
CONF
rules_before=$(in_wan ip rule; in_wan ip -6 rule)
start_tun() {
  rm -f "$W/tun-ready"
  mkfifo "$W/tun-ready"
  exec {tun_ready}<>"$W/tun-ready"
  background tun ip netns exec "$T-wan" "$PROGRAM" tun "$W/one.conf" --interface tun1 --ready-fd "$tun_ready"
  read -rt 20 line <&"$tun_ready" || fail "slipgate tun does not get ready"
  exec {tun_ready}>&-
}
start_tun
expect "mtu 1412" in_wan ip link show tun1
expect "203.0.113.2 dev tun1 table 51820 src 10.7.0.2" in_wan ip route get 203.0.113.2
expect "198.51.100.1 dev to-gateway" in_wan ip route get 198.51.100.1 mark 51820

for server in 203.0.113.2 2001:db8:203::2; do
  wait_for 5 in_wan ping -n -c 1 -W 1 $server
  for way in "" -R "-P 8"; do
    background iperf3 in_server iperf3 -s -1 --forceflush # one test each: it resets who comes before it is ready again
    wait_for 30 grep -q "listening" "$W/iperf3.log"
    expect "receiver" in_wan iperf3 -c $server -n 50M --connect-timeout 5000 $way
    wait_for 10 ended iperf3
  done
done
for server in 203.0.113.2 2001:db8:203::2; do
  in_wan python3 "$peer_tool" exchange $server
  in_wan python3 "$peer_tool" udp-echo $server 0 1 1000 1384 1385 4000 60000
done

kill -TERM "${pid[tun]}"
gone() { ! in_wan ip link show tun1; }
wait_for 5 gone
[ "$rules_before" = "$(in_wan ip rule; in_wan ip -6 rule)" ] || fail "rules are left behind: $(in_wan ip rule)"

# A mark that is named is the table's number, too.
sed -i 's/^MTU.*/FwMark = 0x4d2/' "$W/one.conf"
start_tun
expect "203.0.113.2 dev tun1 table 1234 src 10.7.0.2" in_wan ip route get 203.0.113.2
wait_for 5 in_wan ping -n -c 1 -W 1 203.0.113.2
