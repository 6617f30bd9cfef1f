#!/bin/bash
# Datagrams of 0 to 65,507 bytes come back whole: fragments in, fragments out.
#
#   one ──── slipgate ──── UDP echo 203.0.113.2:7000
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

for server in 203.0.113.2 2001:db8:203::2; do
  peer one udp-echo $server 0 1 1000 1392 1473 4000 9000 60000 65507
done
