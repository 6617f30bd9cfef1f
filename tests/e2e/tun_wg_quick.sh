#!/bin/bash
# wg-quick with slipgate as its userspace implementation: up, traffic, a change by wg, down; nothing is left behind. And
# without wg-quick: the program ends when its interface, or its socket, is removed.
#
#   wan: wg-quick ── wireguard-go → slipgate (10.7.0.2) ──── slipgate ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
if in_wan ip link add sgprobe type wireguard 2>/dev/null; then
  in_wan ip link del sgprobe
  skip "wg-quick prefers this kernel's own WireGuard"
fi
device=${T}q
program=$W/wireguard-go
ln -s "$PROGRAM" "$program"
cat >"$W/$device.conf" <<CONF
[Interface]
PrivateKey = $KEY_one
Address = 10.7.0.2/32, fd07::2/128
MTU = 1400
[Peer]
PublicKey = $PUBLIC_gateway
PresharedKey = $PRESHARED
AllowedIPs = 10.7.0.0/24, 203.0.113.0/24, 2001:db8:203::/64
Endpoint = 198.51.100.1:51820
CONF
chmod 600 "$W/$device.conf"
running() { pgrep -f "^$program $device" >"$W/running"; }
ended() { ! running && [ ! -e "/var/run/wireguard/$device.sock" ] && ! in_wan ip link show "$device"; }

fragments() { # that the client's side made
  in_wan awk '/^Ip:/ && !names { names = $0; next } /^Ip:/ { split(names, name); for (i in name) if (name[i] == "FragCreates") print $i }' /proc/net/snmp
}
quick() { in_wan env WG_QUICK_USERSPACE_IMPLEMENTATION="$program" wg-quick "$@" >"$W/quick.log" 2>&1 || { cat "$W/quick.log"; fail "wg-quick $1"; }; }
in_wan ip link set dev to-gateway mtu 1460 # 1,400, WireGuard's 32, UDP's 8 and IPv4's 20: padding has no room
in_gateway ip link set dev to-wan mtu 1460  # both ends: the gateway pads to its own MTU, and its kernel cuts what is longer
quick up "$W/$device.conf"
running || fail "slipgate does not run"
expect "mtu 1400" in_wan ip link show "$device"
for server in 203.0.113.2 2001:db8:203::2; do
  wait_for 5 in_wan ping -n -c 1 -W 1 $server
  in_wan python3 "$peer_tool" exchange $server
done
[ "$(fragments)" = 0 ] || fail "datagrams do not fit the path that the MTU is for"
expect "latest handshake" in_wan wg show "$device"
in_wan wg set "$device" listen-port 7777 peer "$PUBLIC_gateway" persistent-keepalive 1 # the gateway follows
expect "listening port: 7777" in_wan wg show "$device"
wait_for 5 in_wan ping -n -c 1 -W 1 203.0.113.2
quick down "$W/$device.conf"
wait_for 5 ended

as_wireguard_go() {
  in_wan "$program" "$device" >"$W/go.log" 2>&1 || fail "$(cat "$W/go.log")"
  running || fail "not in the background"
}
as_wireguard_go
expect_status 1 in_wan "$program" -f "$device" # there is one
in_wan ip link del "$device"
wait_for 5 ended
as_wireguard_go
rm "/var/run/wireguard/$device.sock"
wait_for 5 ended
expect_status 1 in_wan setpriv --reuid=$ORDINARY --clear-groups --inh-caps=-all --bounding-set=-all "$program" -f "$device"
