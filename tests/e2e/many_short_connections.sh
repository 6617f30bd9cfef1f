#!/bin/bash
# 2,000 short connections, 20 at a time.
#
#   one ──── slipgate ──── echo 203.0.113.2:7000
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one many 203.0.113.2 1000
peer one many 2001:db8:203::2 1000
