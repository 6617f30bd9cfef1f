#!/bin/bash
# Where the kernel refuses ping sockets, the log names the sysctl and clients hear "prohibited" instead of silence.
#
#   ping in one ──── slipgate without ping sockets
. "$(dirname "$0")/../support/harness.sh"
in_gateway sysctl -qw net.ipv4.ping_group_range="1 0"
gateway
client one

grep -q net.ipv4.ping_group_range "$W/gateway.log" || fail "the log does not name the sysctl"
expect_status 1 in_client one ping -n -c 1 -W 2 203.0.113.2
grep -qiE "filtered|prohibited" "$W/status.log" || fail "no ICMP error: $(cat "$W/status.log")"
