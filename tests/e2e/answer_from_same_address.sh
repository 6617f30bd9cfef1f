#!/bin/bash
# The answer leaves from the address that the client spoke to, on a host with several.
#
#   one ── to 203.0.113.1, the far address ──── slipgate (198.51.100.1 is nearer)
. "$(dirname "$0")/../support/harness.sh"
gateway
client_endpoint=203.0.113.1:51820 client one

expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 10.7.0.1
expect 203.0.113.1:51820 wg show "${T}one" endpoints # wireguard-go would have followed another source
