#!/bin/bash
# wgslirpy's mode without encryption, by its own command line: GUE in, bare packets until the peer spoke, keepalives at once.
#
#   one ──── slipgate as wgslirpy -k INSECURE -K GUE -b … -p … -a 1 -t … -u … ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
. "$here/gue.sh"
servers
gue_client one header header
without_ready_fd=1 gateway_command as wgslirpy -k INSECURE -K GUE -b 198.51.100.1:6080 -p 198.51.100.2:6080 -a 1 -D 99.99.99.99:53 \
  -P 99.99.99.99 --mtu 1420 -t 203.0.113.1:8001,,10.7.0.2:8001 -u 203.0.113.1:8002,,10.7.0.2:8002
wait_for 10 heard one '^empty$'
check_rights
# The gateway speaks first.
background listener in_client one python3 "$peer_tool" accept-one 10.7.0.2 8001
background answer in_client one python3 "$peer_tool" answer-udp 10.7.0.2 8002
wait_for 30 grep -q listening "$W/listener.log"
wait_for 30 grep -q listening "$W/answer.log"
expect "hello 203.0.113.2" in_server python3 "$peer_tool" udp-ask 203.0.113.1 8002
heard one '^4 bare 6080$' || fail "the first packet has a header"
expect "hello 203.0.113.2" in_server python3 "$peer_tool" ask 203.0.113.1 8001
heard one '^4 header 6080$' || fail "the answers have no header"

echo "nameserver 99.99.99.99" >"/etc/netns/$T-one/resolv.conf"
expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 99.99.99.99
expect "hello from the server" in_client one curl -sS -m 10 http://web.test:8080/hello
wait_for 5 heard one '^empty$' 3
# --enable-host is on, as its users expect.
background on_host in_gateway python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/on_host.log"
expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.1:8080/hello

# The same flags without `as`, and what does not go with them.
stop_gateway
gateway_command wireguard -k INSECURE -K GUE -b 198.51.100.1:6080 -D 99.99.99.99:53
expect "hello from the server" in_client one curl -sS -m 10 http://web.test:8080/hello
expect_status 2 "$PROGRAM" wireguard -k INSECURE -K GUE -b 127.0.0.1:1 --interface wg0
expect_status 1 "$PROGRAM" as wgslirpy -k INSECURE -K GUE
