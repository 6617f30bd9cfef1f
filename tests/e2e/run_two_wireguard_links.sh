#!/bin/bash
# `slipgate run`: two WireGuard links in one gateway, each with its own key, port, MTU and interface; their peers reach the
# server and each other.
#
#   one ── 198.51.100.1:51820, home ─────────┬── slipgate run ──── 203.0.113.2
#   two ── 198.51.100.1:51821, office (1280) ┘
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
KEY_office=$(wg genkey)
PUBLIC_office=$(wg pubkey <<<"$KEY_office")
echo "$KEY_gateway" >"$W/user/home.key"
echo "$KEY_office" >"$W/user/office.key"
echo "$PRESHARED" >"$W/user/one.psk"
chmod 600 "$W"/user/*.key "$W"/user/*.psk
cat >"$W/user/both.toml" <<TOML
metrics = "198.51.100.1:9100"

[[wireguard]]
name = "home"
private_key_file = "home.key"
bind_ip_port = 51820
interface = "${T}h"
address = ["10.7.0.1", "fd07::1"]
[[wireguard.peer]]
name = "one"
public_key = "$PUBLIC_one"
preshared_key_file = "one.psk"
allowed_ips = ["10.7.0.2/32", "fd07::2/128"]

[[wireguard]]
name = "office"
private_key_file = "office.key"
bind_ip_port = "198.51.100.1:51821"
interface = "${T}o"
mtu = 1280
[[wireguard.peer]]
name = "two"
public_key = "$PUBLIC_two"
allowed_ips = "10.7.0.3/32, fd07::3/128"
TOML
chown -R $ORDINARY "$W/user"
gateway_command run "$W/user/both.toml"
client one
PUBLIC_gateway=$PUBLIC_office client_endpoint=198.51.100.1:51821 client two
for name in one two; do
  wait_for 5 in_client $name ping -n -c 1 -W 1 10.7.0.1
  expect "hello from the server" in_client $name curl -sS -m 10 http://web.test:8080/hello
  expect "hello from the server" in_client $name curl -sS -m 10 http://[2001:db8:203::2]:8080/hello
done

# from link to link: packets, connections, fragments, one hop
expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 10.7.0.3
expect " 0% packet loss" in_client two ping -n -c 2 -i 0.2 -W 2 fd07::2
background listener in_client two python3 "$peer_tool" accept-one fd07::3 8001
wait_for 30 grep -q listening "$W/listener.log"
expect "hello fd07::2" peer one ask fd07::3 8001
for address in 10.7.0.3 fd07::3; do
  expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 -s 3000 $address
done
expect "1  10.7.0.1" in_client one traceroute -n -q 1 -w 2 10.7.0.3
# a packet that is too large for the other link: cut where that may be, else the sender hears of the MTU
expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 -M dont -s 1372 10.7.0.3
in_client one ping -n -c 1 -W 2 -M do -s 1372 10.7.0.3 >"$W/large.log" 2>&1 || true
grep -qi "mtu *= *1280" "$W/large.log" || fail "no word of the MTU: $(cat "$W/large.log")"
in_client one ping -n -c 1 -W 2 -M do -s 1352 fd07::3 >"$W/large.log" 2>&1 || true
grep -qi "mtu *= *1280" "$W/large.log" || fail "no word of the MTU by IPv6: $(cat "$W/large.log")"

# each link by its name
asks() { XDG_RUNTIME_DIR=$W/user HOME=$W/user as_user "$PROGRAM" "$@"; }
expect "link office: UDP 198.51.100.1:51821" asks status both
expect '"link":"office"' asks status both --json
for link in home office; do
  in_wan curl -sS -m 5 http://198.51.100.1:9100/metrics |
    grep -E "^slipgate_link_receive_packets_total\{.*link=\"$link\".*\} [1-9]" >/dev/null || fail "no packets of $link are counted"
done
for row in "h $PUBLIC_one" "o $PUBLIC_two"; do
  read -r letter key <<<"$row"
  shown=$(XDG_RUNTIME_DIR=$W/user HOME=$W/user in_gateway setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups \
    --no-new-privs --inh-caps=-all --bounding-set=-all -- "$PROGRAM" wg show "$T$letter" peers 2>/dev/null)
  [ "$shown" = "$key" ] || fail "wg show $T$letter peers: $shown"
done
