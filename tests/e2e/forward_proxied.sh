#!/bin/bash
# -L tcppp and udpspp: the client that a proxy's header names is the source that the inside sees; answers find back.
#
#   203.0.113.2 as a proxy for 192.0.2.77 ──── slipgate 203.0.113.1:8001, :8002 ──── one
. "$(dirname "$0")/../support/harness.sh"
gateway -L tcppp://203.0.113.1:8001:10.7.0.2:8003 -L udpspp://203.0.113.1:8002:10.7.0.2:8004
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

background listener in_client one python3 "$peer_tool" accept-one 10.7.0.2 8003
wait_for 30 grep -q listening "$W/listener.log"
expect "hello 192.0.2.77" in_server python3 "$peer_tool" ask-proxied 203.0.113.1 8001 192.0.2.77

background answer in_client one python3 "$peer_tool" answer-udp 10.7.0.2 8004
wait_for 30 grep -q listening "$W/answer.log"
expect "hello 192.0.2.77" in_server python3 "$peer_tool" udp-ask-proxied 203.0.113.1 8002 192.0.2.77

# Who does not speak the protocol is turned away, and the inside never hears of it.
expect_status 1 in_server python3 "$peer_tool" ask-proxied 203.0.113.1 8001 nonsense
