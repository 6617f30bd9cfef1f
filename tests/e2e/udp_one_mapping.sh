#!/bin/bash
# One client socket keeps one outside address, whomever it talks to (RFC 4787 REQ-1); answers come from whom it asked.
#
#   one ──── slipgate ──┬─ 203.0.113.2:7010
#                       └─ 203.0.113.2:7011   each tells the address that it sees
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one udp-mapping 203.0.113.2
peer one udp-mapping 2001:db8:203::2
