#!/bin/bash
# --deny closes what was open, --allow opens what was closed; deny comes first.
#
#   one ──── slipgate --deny … --allow … ──┬── the host itself: 203.0.113.1:8080, :7000
#                                          └── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
background on_host in_gateway python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/on_host.log"
gateway --deny "tcp://203.0.113.2:7000-7001,tcp://[2001:db8:203::2]:8080" \
  --allow "tcp://203.0.113.1:8080" --allow "203.0.113.2" --deny udp://203.0.113.0/24:7010
client one

peer one connect-error 203.0.113.2 7000 ECONNREFUSED
peer one connect-error 203.0.113.2 7001 ECONNREFUSED
peer one connect-error 2001:db8:203::2 8080 ECONNREFUSED
peer one udp-refused 203.0.113.2 7010 EHOSTUNREACH
expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.2:8080/hello
expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.1:8080/hello
peer one connect-error 203.0.113.1 7000 ECONNREFUSED
expect "203.0.113.1" peer one udp-ask 203.0.113.2 7011
