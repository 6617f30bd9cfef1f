#!/bin/bash
# A closed UDP port, at a server or at the gateway itself, answers with port unreachable.
#
#   one ──── slipgate 10.7.0.1 ──── 203.0.113.2:9 (nobody listens)
. "$(dirname "$0")/../support/harness.sh"
gateway
client one

for target in 203.0.113.2 2001:db8:203::2 10.7.0.1 fd07::1; do
  peer one udp-refused $target 9
done
