#!/bin/bash
# -L: listen on the host, connect inside; TCP and UDP, both families, the shorter spelling on loopback.
#
#   203.0.113.2 and the host itself ──── slipgate -L ──── one
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
gateway -L 203.0.113.1:8001:10.7.0.2:8003 -L "[2001:db8:203::1]:8001:[fd07::2]:8003" -L 8002:10.7.0.2:8003 \
  -L udp://203.0.113.1:8001:10.7.0.2:8004
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

listen() {
  background listener in_client one python3 "$peer_tool" accept-one "$1" 8003
  wait_for 30 grep -q listening "$W/listener.log"
}
listen 10.7.0.2
expect "hello 203.0.113.2" in_server python3 "$peer_tool" ask 203.0.113.1 8001
listen fd07::2
expect "hello 2001:db8:203::2" in_server python3 "$peer_tool" ask 2001:db8:203::1 8001
listen 10.7.0.2
expect "hello" in_gateway python3 "$peer_tool" ask 127.0.0.1 8002
background answer in_client one python3 "$peer_tool" answer-udp 10.7.0.2 8004
wait_for 30 grep -q listening "$W/answer.log"
expect "hello" in_server python3 "$peer_tool" udp-ask 203.0.113.1 8001
