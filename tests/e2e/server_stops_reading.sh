#!/bin/bash
# A server that stops reading stops its client, after no more bytes than the buffers hold; other flows do not notice.
# serial: measures time
#
#   one ──── slipgate ──── 203.0.113.2:7003, which never reads
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one stalled 203.0.113.2
