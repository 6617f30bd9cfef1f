#!/bin/bash
# The real wg on a gateway of an ordinary user: every verb; 1,000 peers come and go in under a second each while another
# peer's stream goes on without a loss.
#
#   wg ── slipgate wg ── socket ── slipgate ──── iperf3 on 203.0.113.2
#                  one ────────────┘
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
background iperf3 in_server iperf3 -s --forceflush
wait_for 30 grep -q "listening" "$W/iperf3.log"
gateway --interface sgtest
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

as_gateway_user() { # in the user's own shell, as it were
  XDG_RUNTIME_DIR=$W/user HOME=$W/user ip netns exec "$T-gateway" setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups \
    --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
}
uapi() { as_gateway_user "$PROGRAM" wg "$@" 2>"$W/wg.log"; }
[ "$(stat -c %a "$W/user/slipgate/wireguard/sgtest.sock")" = 600 ] || fail "the socket's mode"

# show, dump, showconf
expect "latest handshake" uapi show sgtest
expect "listening port: 51820" uapi show
[ "$(uapi show sgtest dump | wc -l)" = 3 ] || fail "dump: $(uapi show sgtest dump)"
uapi showconf sgtest >"$W/before.conf"
expect "PresharedKey = $PRESHARED" cat "$W/before.conf"

# set: a peer comes, changes, goes
key=$(wg genkey) new=
new=$(wg pubkey <<<"$key")
uapi set sgtest peer "$new" allowed-ips 10.8.0.0/24,fd08::/64 endpoint 192.0.2.9:1234 persistent-keepalive 25
expect "10.8.0.0/24 fd08::/64" uapi show sgtest allowed-ips
expect "192.0.2.9:1234" uapi show sgtest endpoints
uapi set sgtest peer "$new" allowed-ips 10.8.1.0/24 persistent-keepalive off
expect "$new	10.8.1.0/24" uapi show sgtest allowed-ips
uapi set sgtest peer "$new" remove
[ "$(uapi show sgtest peers | wc -l)" = 2 ] || fail "the peer is still there"

# addconf adds, setconf replaces, syncconf changes what differs; the standing session of `one` is no different
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.9.0.0/24\n' "$new" >"$W/user/add.conf"
uapi addconf sgtest "$W/user/add.conf"
[ "$(uapi show sgtest peers | wc -l)" = 3 ] || fail "addconf"
cp "$W/before.conf" "$W/user/before.conf"
chown $ORDINARY "$W/user/before.conf" "$W/user/add.conf"
handshake=$(uapi show sgtest latest-handshakes | sort)
uapi syncconf sgtest "$W/user/before.conf"
[ "$(uapi show sgtest peers | wc -l)" = 2 ] || fail "syncconf"
[ "$handshake" != "" ] && [ "$(uapi show sgtest latest-handshakes | sort)" = "$(grep -v "^$new" <<<"$handshake")" ] || fail "a session was touched"
expect "1 received" in_client one ping -n -c 1 -W 2 10.7.0.1

# what cannot be done is said
expect_status 1 uapi set sgtest fwmark 5
expect_status 1 uapi set sgtest listen-port 700
expect "Permission denied" cat "$W/wg.log"
expect "listening port: 51820" uapi show sgtest

# 1,000 peers within a second, and away again
{
  cat "$W/before.conf"
  python3 -c '
import base64, os
for i in range(1000):
    key = base64.b64encode(os.urandom(32)).decode()
    print(f"[Peer]\nPublicKey = {key}\nAllowedIPs = 10.{100 + i // 250}.{i % 250}.0/24, fd09:{i:x}::/64")'
} >"$W/user/thousand.conf"
background stream ip netns exec "$T-one" ping -n -q -i 0.005 -c 600 -W 2 203.0.113.2
background bulk ip netns exec "$T-one" iperf3 -c 203.0.113.2 -n 30M -b 100M --connect-timeout 5000
milliseconds() { # how long a command takes
  local before
  before=$(date +%s%N)
  "$@" || fail "$*"
  echo $((($(date +%s%N) - before) / 1000000))
}
for round in 1 2; do
  came=$(milliseconds uapi syncconf sgtest "$W/user/thousand.conf")
  [ "$(uapi show sgtest peers | wc -l)" = 1002 ] || fail "not all peers are there"
  went=$(milliseconds uapi syncconf sgtest "$W/user/before.conf")
  [ "$(uapi show sgtest peers | wc -l)" = 2 ] || fail "not all peers went"
  echo "1,000 peers came in $came ms, went in $went ms"
  [ "$came" -lt 1000 ] && [ "$went" -lt 1000 ] || fail "too slow"
done
ended() { ! kill -0 "${pid[stream]}" 2>/dev/null && ! kill -0 "${pid[bulk]}" 2>/dev/null; }
wait_for 30 ended
expect "600 received, 0% packet loss" cat "$W/stream.log"
expect "receiver" cat "$W/bulk.log"

# another private key, another port: the peer finds us again when it knows
echo "$key" >"$W/user/key"
chown $ORDINARY "$W/user/key"
uapi set sgtest listen-port 51821 private-key "$W/user/key"
wg set "${T}one" peer "$PUBLIC_gateway" remove
wg set "${T}one" peer "$new" allowed-ips 0.0.0.0/0,::/0 endpoint 198.51.100.1:51821 preshared-key <(echo "$PRESHARED")
wait_for 10 in_client one ping -n -c 1 -W 1 10.7.0.1
