#!/bin/bash
# `slipgate run`: a WireGuard and a GUE link in one gateway; the client of each reaches the server and the other client,
# whichever thread serves it. The GUE peer keeps to its own inside addresses.
#
#   one ── WireGuard, 51820 ──┬── slipgate run ──── 203.0.113.2
#   two ── GUE, 6080 ─────────┘
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
. "$here/gue.sh"
servers
write_config
sed -i '/^# two/,$d' "$W/user/gateway.conf"
sed -i '$d' "$W/user/gateway.conf" # the second [Peer]
cat >"$W/user/mixed.toml" <<TOML
threads = 4
[[wireguard]]
config = "gateway.conf"
[[gue]]
bind_ip_port = "198.51.100.1:6080"
allowed_ips = ["10.7.0.3/32", "fd07::3/128"]
TOML
for count in 4 1; do # peers of four threads, of one
  sed -i "s/^threads = .*/threads = $count/" "$W/user/mixed.toml"
  gateway_command run "$W/user/mixed.toml"
  if [ $count = 4 ]; then
    client one
    gue_client two header header
  fi
  wait_for 40 in_client one ping -n -c 1 -W 1 10.7.0.1 # the old session first has to be found dead
  wait_for 10 in_client two ping -n -c 1 -W 1 10.7.0.1
  for name in one two; do
    expect "hello from the server" in_client $name curl -sS -m 10 http://web.test:8080/hello
  done
  expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 10.7.0.3
  expect " 0% packet loss" in_client two ping -n -c 2 -i 0.2 -W 2 fd07::2
  background listener$count in_client two python3 "$peer_tool" accept-one 10.7.0.3 8001
  wait_for 30 grep -q listening "$W/listener$count.log"
  expect "hello 10.7.0.2" peer one ask 10.7.0.3 8001
  # as somebody else: not from this peer
  say two "raw 4500001c0000000040010000-0a070002-cb007102-0800f7ff00000000"
  wait_for 5 dropped gue_bad_source 1
  expect "GUE peer 198.51.100.3:6080" gateway_status
  stop_gateway
done
