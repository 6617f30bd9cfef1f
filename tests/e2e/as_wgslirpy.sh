#!/bin/bash
# wgslirpy's command line does what its README's session shows: ping, DNS, curl by name, and incoming forwards.
#
#   one ──── slipgate as wgslirpy -k … -K … -b … -D 99.99.99.99:53 -P 99.99.99.99 -t … -u … ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
PRESHARED=$(printf 'A%.0s' {1..43})=
without_ready_fd=1 gateway_command as wgslirpy -k "$KEY_gateway" -K "$PUBLIC_one" -b 198.51.100.1:51820 -D 99.99.99.99:53 \
  -P 99.99.99.99 --mtu 1420 --tcp-buffer-size 65535 --transmit-queue-capacity 256 -a 25 \
  -t 203.0.113.1:8001,,10.7.0.2:8001 -u 203.0.113.1:8002,,10.7.0.2:8002
client one
wait_for 10 in_client one ping -n -c 1 -W 1 99.99.99.99
check_rights
echo "nameserver 99.99.99.99" >"/etc/netns/$T-one/resolv.conf"

expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 99.99.99.99
expect 203.0.113.2 in_client one dig +short +tries=2 +time=3 @99.99.99.99 web.test A
expect "hello from the server" in_client one curl -sS -m 10 http://web.test:8080/hello
background listener in_client one python3 "$peer_tool" accept-one 10.7.0.2 8001
background answer in_client one python3 "$peer_tool" answer-udp 10.7.0.2 8002
wait_for 30 grep -q listening "$W/listener.log"
wait_for 30 grep -q listening "$W/answer.log"
expect "hello 203.0.113.2" in_server python3 "$peer_tool" ask 203.0.113.1 8001
expect "hello 203.0.113.2" in_server python3 "$peer_tool" udp-ask 203.0.113.1 8002
# --enable-host is on, as its users expect; loopback stays closed.
background on_host in_gateway python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/on_host.log"
expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.1:8080/hello
peer one connect-error 169.254.169.254 80 ECONNREFUSED
