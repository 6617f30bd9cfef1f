#!/bin/bash
# -u: a UDP port of the host leads to a server inside, and its answers lead back, also with a source that was given.
#
#   203.0.113.2 ──── slipgate 203.0.113.1:8001, :8002 ──── one answers on :8001, :8002
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
gateway -u 203.0.113.1:8001,,10.7.0.2:8001 -u 203.0.113.1:8002,192.0.2.9:99,10.7.0.2:8002 \
  -u "[2001:db8:203::1]:8001,,[fd07::2]:8001"
client one
for listener in "10.7.0.2 8001" "10.7.0.2 8002" "fd07::2 8001"; do
  background "answer${listener// /-}" in_client one python3 "$peer_tool" answer-udp $listener
  wait_for 30 grep -q listening "$W/answer${listener// /-}.log"
done
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

expect "hello 203.0.113.2" in_server python3 "$peer_tool" udp-ask 203.0.113.1 8001
expect "hello 192.0.2.9" in_server python3 "$peer_tool" udp-ask 203.0.113.1 8002
expect "hello 2001:db8:203::2" in_server python3 "$peer_tool" udp-ask 2001:db8:203::1 8001
