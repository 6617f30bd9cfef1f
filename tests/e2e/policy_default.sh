#!/bin/bash
# Without rules: the host's own addresses, loopback, link-local and multicast are closed, and say so; the rest is open.
#
#   one ──── slipgate 198.51.100.1, 203.0.113.1 ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
background on_host in_gateway python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/on_host.log"
gateway
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

for closed in 203.0.113.1 198.51.100.1 169.254.169.254 2001:db8:203::1 2001:db8:100::1; do
  peer one connect-error $closed 8080 ECONNREFUSED
done
peer one udp-refused 203.0.113.1 7000 EHOSTUNREACH
peer one udp-refused 2001:db8:203::1 7000 EACCES
# 127.0.0.1 through the tunnel, past the client's own loopback:
ip -n "$T-one" route del local 127.0.0.0/8 table local dev lo
ip -n "$T-one" route del local 127.0.0.1 table local dev lo
ip -n "$T-one" route add 127.0.0.1/32 dev "${T}one" src 10.7.0.2
peer one refused-on-wire "${T}one" 127.0.0.1 8080
expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.2:8080/hello
