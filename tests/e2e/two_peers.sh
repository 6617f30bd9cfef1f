#!/bin/bash
# Two peers at once, one by outer IPv4 and with a preshared key, one by outer IPv6; both move data, each gets its own.
#
#   one ── 198.51.100.1 ──┬── slipgate ──── 203.0.113.2
#   two ── 2001:db8:100::1┘
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one 4
client two 6

background first peer one many 203.0.113.2 1000
background second peer two many 2001:db8:203::2 1000
wait_for 30 grep -q "1000 connections" "$W/first.log"
wait_for 30 grep -q "1000 connections" "$W/second.log"
expect "hello from the server" in_client two curl -sS -m 10 http://203.0.113.2:8080/hello
