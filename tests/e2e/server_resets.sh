#!/bin/bash
# A server's RST reaches the client as ECONNRESET.
#
#   one ──── slipgate ──── 203.0.113.2:7004
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one reset 203.0.113.2
peer one reset 2001:db8:203::2
