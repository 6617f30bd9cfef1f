#!/bin/bash
# curl reaches a server on the host's network, both families, by address and by name.
#
#   curl in one ──── slipgate ──── web server 203.0.113.2, 2001:db8:203::2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.2:8080/hello
expect "hello from the server" in_client one curl -sS -m 10 "http://[2001:db8:203::2]:8080/hello"
expect "hello from the server" in_client one curl -sS -m 10 -4 http://web.test:8080/hello
expect "hello from the server" in_client one curl -sS -m 10 -6 http://web.test:8080/hello
# The server sees an ordinary connection of the gateway's host.
expect "203.0.113.1" in_client one curl -sS -m 10 http://203.0.113.2:8080/address
expect "2001:db8:203::1" in_client one curl -sS -m 10 "http://[2001:db8:203::2]:8080/address"
