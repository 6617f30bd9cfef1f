#!/bin/bash
# --enable-host opens the host's own addresses, and only those: loopback and metadata stay closed.
#
#   one ──── slipgate --enable-host, web server on the same host
. "$(dirname "$0")/../support/harness.sh"
background on_host in_gateway python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/on_host.log"
gateway --enable-host
client one

expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.1:8080/hello
expect "hello from the server" in_client one curl -sS -m 10 "http://[2001:db8:203::1]:8080/hello"
peer one connect-error 169.254.169.254 80 ECONNREFUSED
