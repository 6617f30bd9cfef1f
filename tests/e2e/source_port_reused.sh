#!/bin/bash
# A client may use a source port again at once, whoever closed the connection before.
#
#   one, from port 41000 ──── slipgate ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one reuse 203.0.113.2
peer one reuse 2001:db8:203::2
