#!/bin/bash
# A closed port on the host's network is refused in under 50 ms, both families.
# serial: measures time
#
#   one ──── slipgate ──── 203.0.113.2:9 (nobody listens)
. "$(dirname "$0")/../support/harness.sh"
gateway
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1 # the handshake is another test's

for server in 203.0.113.2 2001:db8:203::2; do
  for _ in 1 2 3; do peer one connect-error $server 9 ECONNREFUSED 50; done
done
