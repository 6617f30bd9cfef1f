#!/bin/bash
# -R: listen inside, connect on the host; TCP and UDP, both families. The host's loopback is meant here, so it is open.
#
#   one ──── slipgate 10.7.0.1, fd07::1 -R ──┬── 203.0.113.2
#                                            └── 127.0.0.1 of the host
. "$(dirname "$0")/../support/harness.sh"
servers
background on_host in_gateway python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/on_host.log"
gateway -R 10.7.0.1:8001:203.0.113.2:8080 -R "[fd07::1]:8001:[2001:db8:203::2]:8080" -R 10.7.0.1:8002:127.0.0.1:8080 \
  -R udp://10.7.0.1:8003:203.0.113.2:7011
client one

expect "203.0.113.1" in_client one curl -sS -m 10 http://10.7.0.1:8001/address
expect "2001:db8:203::1" in_client one curl -sS -m 10 "http://[fd07::1]:8001/address"
expect "127.0.0.1" in_client one curl -sS -m 10 http://10.7.0.1:8002/address
expect "203.0.113.1" peer one udp-ask 10.7.0.1 8003
peer one connect-error 10.7.0.1 8009 ECONNREFUSED # nothing else is served there
