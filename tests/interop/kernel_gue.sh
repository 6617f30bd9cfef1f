#!/bin/bash
# The kernel's own tunnels, ipip and sit, both families inside: GUE, GUE that leaves checksums to us, FOU with a port each.
# serial: an emulated processor needs a real one
#
#   Debian's kernel in QEMU, 10.0.2.15 ── QEMU's NAT ── 127.0.0.1 ── slipgate gue ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
. "$here/guest.sh"
. "$here/gue.sh"
servers
GUEST_MODULES="virtio_pci virtio_net fou ipip sit"
gateway_command gue --address 10.7.0.1 --address fd07::1
cat >"$W/script" <<'SCRIPT'
set -e
ip fou add port 6080 gue
ip fou add port 6081 ipproto 4
ip fou add port 6082 ipproto 41
tunnels() { # what both take, port of IPv4's, of IPv6's
  ip link add tun4 type ipip local 10.0.2.15 remote 10.0.2.2 ttl 64 $1 encap-sport $2 encap-dport 6080
  ip link add tun6 type sit local 10.0.2.15 remote 10.0.2.2 ttl 64 $1 encap-sport $3 encap-dport 6080
  ip addr add 10.7.0.2/32 dev tun4
  ip addr add fd07::2/128 dev tun6 nodad
  ip link set tun4 mtu 1400 up
  ip link set tun6 mtu 1400 up
  ip route add 10.7.0.0/24 dev tun4
  ip route add 203.0.113.0/24 dev tun4
  ip -6 route add default dev tun6 metric 1
  for address in 10.7.0.1 fd07::1 203.0.113.2 2001:db8:203::2; do
    ping -n -c 2 -i 0.3 -W 5 $address
  done
  curl -sS -m 20 http://203.0.113.2:8080/hello
  curl -sS -m 20 "http://[2001:db8:203::2]:8080/hello"
  curl -sS -m 60 http://203.0.113.2:8080/bytes/1000000 | wc -c
  ip link del tun4
  ip link del tun6
}
tunnels "encap gue" 6080 6080
tunnels "encap gue encap-csum encap-remcsum" 6080 6080
tunnels "encap fou" 6081 6082
SCRIPT
status=0
guest_script 120 "$W/script" >"$W/guest.out" || status=$?
[ $status = 0 ] || { cat "$W/guest.out"; fail "the guest's exit status is $status"; }
[ "$(grep -c "hello from the server" "$W/guest.out")" = 6 ] || { cat "$W/guest.out"; fail "curl"; }
[ "$(grep -cx 1000000 "$W/guest.out")" = 3 ] || { cat "$W/guest.out"; fail "1,000,000 bytes did not come whole"; }
[ "$(drops_of bad_checksum)" = 0 ] || fail "checksums: $(gateway_status)"
