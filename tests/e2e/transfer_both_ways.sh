#!/bin/bash
# 20 MB down and 10 MB up at once, ended by half-closes: SHA-256 equal.
#
#   one ──── slipgate ──── 203.0.113.2:7002
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one exchange 203.0.113.2
peer one exchange 2001:db8:203::2
