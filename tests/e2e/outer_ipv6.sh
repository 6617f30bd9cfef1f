#!/bin/bash
# The tunnel itself runs over IPv6.
#
#   one ── wireguard-go [2001:db8:100::2] ──── slipgate [2001:db8:100::1] ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one 6

expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.2:8080/hello
expect "hello from the server" in_client one curl -sS -m 10 "http://[2001:db8:203::2]:8080/hello"
expect "[2001:db8:100::1]:51820" wg show "${T}one" endpoints
