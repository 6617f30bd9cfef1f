#!/bin/bash
# The server ends its direction first; the 1,000,000 bytes that the client then sends all arrive.
#
#   one ──── slipgate ──── 203.0.113.2:7001
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one half-close-first 203.0.113.2
peer one half-close-first 2001:db8:203::2
