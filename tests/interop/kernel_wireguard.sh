#!/bin/bash
# The kernel's own WireGuard: handshake, ping and curl, both families.
# serial: an emulated processor needs a real one
#
#   Debian's kernel in QEMU, 10.0.2.15 ── QEMU's NAT ── 127.0.0.1 ── slipgate ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
. "$here/guest.sh"
servers
gateway
cat >"$W/script" <<SCRIPT
set -e
ip link add wg0 type wireguard
wg set wg0 private-key <(echo $KEY_one) peer $PUBLIC_gateway preshared-key <(echo $PRESHARED) \
  endpoint 10.0.2.2:51820 allowed-ips 0.0.0.0/0,::/0
ip addr add 10.7.0.2/32 dev wg0
ip addr add fd07::2/128 dev wg0 nodad
ip link set wg0 mtu 1420 up
ip route add 10.7.0.0/24 dev wg0
ip route add 203.0.113.0/24 dev wg0
ip -6 route add default dev wg0 metric 1
for address in 10.7.0.1 fd07::1 203.0.113.2 2001:db8:203::2; do
  ping -n -c 2 -i 0.3 -W 5 \$address
done
curl -sS -m 20 http://203.0.113.2:8080/hello
curl -sS -m 20 "http://[2001:db8:203::2]:8080/hello"
curl -sS -m 60 http://203.0.113.2:8080/bytes/2000000 | wc -c
wg show wg0 latest-handshakes
SCRIPT
status=0
guest_script 120 "$W/script" >"$W/guest.out" || status=$?
[ $status = 0 ] || { cat "$W/guest.out"; fail "the guest's exit status is $status"; }
[ "$(grep -c "hello from the server" "$W/guest.out")" = 2 ] || { cat "$W/guest.out"; fail "curl"; }
grep -qx 2000000 "$W/guest.out" || { cat "$W/guest.out"; fail "2,000,000 bytes did not come whole"; }
