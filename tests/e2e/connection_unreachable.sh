#!/bin/bash
# What the host cannot reach, the client hears at once as unreachable, not as refused or as silence.
#
#   one ──── slipgate ──── no route to 192.0.2.0/24 and 2001:db8:dead::/48
. "$(dirname "$0")/../support/harness.sh"
ip -n "$T-gateway" route add unreachable 192.0.2.0/24
ip -n "$T-gateway" -6 route add unreachable 2001:db8:dead::/48
gateway
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

peer one connect-error 192.0.2.1 80 EHOSTUNREACH 2000
peer one connect-error 2001:db8:dead::1 80 EHOSTUNREACH 2000
