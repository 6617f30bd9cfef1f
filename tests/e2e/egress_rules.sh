#!/bin/bash
# --egress RULE=URL, the first that fits counts: an HTTP proxy for one port, nothing for datagrams there, a proxy that is
# not there for another, and the gateway's own sockets for the rest.
#
#   one ──── slipgate ──┬─ tinyproxy on 203.0.113.2 ──── 203.0.113.2:8080
#                       └─ 203.0.113.2, other ports
. "$(dirname "$0")/../support/harness.sh"
servers
printf 'Port 3128\nListen 203.0.113.2\nTimeout 60\nMaxClients 20\nLogLevel Info\n' >"$W/tinyproxy.conf"
background proxy in_server tinyproxy -d -c "$W/tinyproxy.conf"
wait_for 10 in_server curl -sS -x http://203.0.113.2:3128 http://203.0.113.2:8080/hello
gateway --egress tcp://203.0.113.2:7001=direct --egress 203.0.113.2:7000-8080=http://203.0.113.2:3128 \
  --egress "[2001:db8:203::2]:8080=socks5://203.0.113.2:9" --egress direct
client one
status() { XDG_RUNTIME_DIR=$W/user in_gateway "$PROGRAM" status; }

expect "203.0.113.2" in_client one curl -sS -m 10 http://203.0.113.2:8080/address # through the proxy
in_client one curl -sS -m 20 http://203.0.113.2:8080/bytes/5000000 | cmp - <(head -c 5000000 /dev/zero | tr "\0" x)
peer one half-close-first 203.0.113.2 # directly
peer one udp-refused 203.0.113.2 7010 EHOSTUNREACH
expect "egress_no_udp" status
in_client one ping -n -c 1 -W 5 203.0.113.2
peer one connect-error 203.0.113.2 9 ECONNREFUSED
expect "2001:db8:203::1" peer one udp-ask 2001:db8:203::2 7011

# Nobody listens where the second proxy should be.
peer one connect-error 2001:db8:203::2 8080 EHOSTUNREACH
expect "proxy_unreachable" status
