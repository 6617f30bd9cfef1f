#!/bin/bash
# Connections leave by a SOCKS5 proxy with a login: the server sees the proxy, not the gateway; IPv6 works although the
# gateway has none; what the proxy says of a destination is what the client sees; the login is shown nowhere.
#
#   one ──── slipgate --egress socks5://… ──── microsocks on 203.0.113.2 ──┬─ 203.0.113.2
#            203.0.113.7, no IPv6                                          └─ 2001:db8:203::2
. "$(dirname "$0")/../support/harness.sh"
in_gateway ip -6 addr flush dev to-server
in_gateway ip addr add 203.0.113.7/24 dev to-server
servers
background proxy in_server microsocks -i 203.0.113.2 -p 1080 -u me -P sekrit
gateway --egress socks5://me:sekrit@203.0.113.2:1080 --source-ipv4 203.0.113.7 --log-level debug
client one
status() { XDG_RUNTIME_DIR=$W/user in_gateway "$PROGRAM" status; }
flows() { XDG_RUNTIME_DIR=$W/user in_gateway "$PROGRAM" flows; }

expect "203.0.113.2" in_client one curl -sS -m 10 http://203.0.113.2:8080/address
expect "2001:db8:203::2" in_client one curl -sS -m 10 "http://[2001:db8:203::2]:8080/address"
in_client one curl -sS -m 20 http://203.0.113.2:8080/bytes/5000000 | cmp - <(head -c 5000000 /dev/zero | tr "\0" x)
peer one connect-error 203.0.113.2 9 ECONNREFUSED
peer one connect-error 2001:db8:203::2 9 ECONNREFUSED
expect "203.0.113.7" cat "$W/proxy.log" # whom the proxy spoke to

# Neither echoes nor, through this proxy, datagrams; names are answered as ever.
expect_status 1 in_client one ping -n -c 1 -W 1 203.0.113.2
expect "egress_no_echo" status
expect "203.0.113.2" in_client one dig +short +tries=1 web.test @10.7.0.1
peer one udp-refused 203.0.113.2 7010 EHOSTUNREACH
expect "egress_no_udp" status

conversation session in_client one python3 "$peer_tool" keep 203.0.113.2
wait_for 10 heard session .
expect "203.0.113.2:7000 via socks5://203.0.113.2:1080" flows
expect "egress: socks5://203.0.113.2:1080" status
! grep -rq sekrit "$W/gateway.log" "$W/gateway.out" <(status; flows) || fail "the password is shown"

# A login that the proxy does not know is the gateway's trouble: to clients nothing is reachable, and status says why.
stop_gateway
gateway --egress socks5://me:wrong@203.0.113.2:1080
peer one connect-error 203.0.113.2 8080 EHOSTUNREACH
expect "proxy_login" status
