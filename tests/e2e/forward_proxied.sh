#!/bin/bash
# -L tcppp (either version of the PROXY protocol) and udpspp: the client that a proxy's header names is the source that
# the inside sees; answers find back. A proxy that speaks for itself is its own client.
#
#   203.0.113.2 as a proxy for 192.0.2.77 ──── slipgate 203.0.113.1:8001, :8002, :8005 ──── one
. "$(dirname "$0")/../support/harness.sh"
gateway -L tcppp://203.0.113.1:8001:10.7.0.2:8003 -L udpspp://203.0.113.1:8002:10.7.0.2:8004 \
  -t tcppp://203.0.113.1:8005,,10.7.0.2:8003
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

asked() { # what the inside says, arguments of ask-proxied
  background listener in_client one python3 "$peer_tool" accept-one 10.7.0.2 8003
  wait_for 30 grep -q listening "$W/listener.log"
  expect "$1" in_server python3 "$peer_tool" ask-proxied 203.0.113.1 "${@:2}"
  wait_for 5 grep -q served "$W/listener.log"
}
asked "hello 192.0.2.77" 8001 192.0.2.77 1
asked "hello 192.0.2.78" 8001 192.0.2.78 2
asked "hello 192.0.2.79" 8005 192.0.2.79 2
asked "hello 203.0.113.2" 8001 local 2

background answer in_client one python3 "$peer_tool" answer-udp 10.7.0.2 8004
wait_for 30 grep -q listening "$W/answer.log"
expect "hello 192.0.2.77" in_server python3 "$peer_tool" udp-ask-proxied 203.0.113.1 8002 192.0.2.77

# Who does not speak the protocol is turned away, and the inside never hears of it.
expect_status 1 in_server python3 "$peer_tool" ask-proxied 203.0.113.1 8001 nonsense
