#!/bin/bash
# With --dns-upstream tls://… nothing is asked in the clear, the answers are the same, and a server with another's
# certificate is asked nothing.
#
#   dig, dns.py in one, two ──── slipgate 10.7.0.1 ──TLS── NSD 203.0.113.2:853
. "$(dirname "$0")/../support/harness.sh"
certificate() { # of our own authority, for dns.example.test
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=Authority of a test" \
    -keyout "$W/authority.key" -out "$W/authority.pem"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=a name server" \
    -keyout "$W/server.key" -out "$W/server.request"
  openssl x509 -req -in "$W/server.request" -CA "$W/authority.pem" -CAkey "$W/authority.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=DNS:dns.example.test") -out "$W/server.pem"
}
certificate >"$W/openssl.log" 2>&1 || { cat "$W/openssl.log"; fail "no certificate"; }
name_server "ip-address: 203.0.113.2@853" "tls-port: 853" "tls-service-key: $W/server.key" "tls-service-pem: $W/server.pem"
in_gateway nft -f - <<'NFT'
table inet watch {
  chain out {
    type filter hook output priority 0;
    meta l4proto { tcp, udp } th dport 53 counter
  }
}
NFT
asked_in_the_clear() { in_gateway nft list ruleset | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'; }

export SSL_CERT_FILE=$W/authority.pem
printf '203.0.113.2 dns.example.test\n' >>"/etc/netns/$T-gateway/hosts"
gateway --dns-upstream tls://dns.example.test
client one
expect "192.0.2.7" in_client one dig +short +tries=1 +time=5 @10.7.0.1 n7.example.test A
expect "status: NXDOMAIN" in_client one dig +tries=1 +time=5 @10.7.0.1 nobody7.example.test A
expect '"v=spf1 -all"' in_client one dig +tcp +short +tries=1 +time=5 @10.7.0.1 n7.example.test TXT
[ "$(asked_in_the_clear)" = 0 ] || fail "something was asked in the clear"
in_client one python3 "$here/dns.py" compare 203.0.113.2 10.7.0.1 40 >"$W/compare.log" || {
  head -n 40 "$W/compare.log"
  fail "$(tail -n 1 "$W/compare.log")"
}
in_server ss -Htn state established sport = :853 | wc -l | grep -qx 1 || fail "not one connection to port 853"
stop_gateway

# for another name: nothing
gateway --dns-upstream 'tls://203.0.113.2:853#other.example.test'
client two
before=$(asked_in_the_clear)
expect "status: SERVFAIL" in_client two dig +tries=1 +time=5 @10.7.0.1 n7.example.test A
[ "$(asked_in_the_clear)" = "$before" ] || fail "something was asked in the clear after all"
grep -q "certificate: Hostname mismatch" "$W/gateway.log" || fail "the log does not say why"
