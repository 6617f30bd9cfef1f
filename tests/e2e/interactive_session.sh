#!/bin/bash
# A session like ssh: hundreds of single keys, each echoed soon, then a burst.
#
#   one ──── slipgate ──── echo 203.0.113.2:7000
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one session 203.0.113.2
