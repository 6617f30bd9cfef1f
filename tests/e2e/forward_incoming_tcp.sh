#!/bin/bash
# -t: a port of the host leads to a server inside, which sees the real client's address or the one that was given.
#
#   203.0.113.2 ──── slipgate 203.0.113.1:8001, :8002 ──── one listens on :8001, :8002
. "$(dirname "$0")/../support/harness.sh"
gateway -t 203.0.113.1:8001,,10.7.0.2:8001 -t 203.0.113.1:8002,192.0.2.9:0,10.7.0.2:8002 \
  -t "[2001:db8:203::1]:8001,,[fd07::2]:8001"
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

serve_and_ask() { # inside address, port, outside address
  background listener in_client one python3 "$peer_tool" accept-one "$1" "$2"
  wait_for 30 grep -q listening "$W/listener.log"
  in_server python3 "$peer_tool" ask "$3" "$2"
}
[ "$(serve_and_ask 10.7.0.2 8001 203.0.113.1)" = "hello 203.0.113.2" ] || fail "not the real client's address"
[ "$(serve_and_ask 10.7.0.2 8002 203.0.113.1)" = "hello 192.0.2.9" ] || fail "not the address that was given"
[ "$(serve_and_ask fd07::2 8001 2001:db8:203::1)" = "hello 2001:db8:203::2" ] || fail "IPv6"
