#!/bin/bash
# Each way in which a destination cannot be reached arrives at the client as what it is: errno, ICMP type and code, and
# who said so. The rows are in tests/support/errors.py.
#
#   one ──── slipgate ──── router ──── far
. "$(dirname "$0")/../support/harness.sh"
. "$here/far_net.sh"
gateway
client one
in_client one sysctl -qw net.ipv4.ping_group_range="0 2147483647"

in_client one python3 "$here/errors.py" destinations || fail "a row is wrong"
