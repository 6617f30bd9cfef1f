#!/bin/bash
# Every other type goes to the host's resolvers and comes back unchanged.
#
#   dig in one ──── slipgate 10.7.0.1 ──── the host's resolver 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one
dig() { in_client one dig +short +tries=2 +time=3 @10.7.0.1 "$@"; }

expect "10 mail.test." dig web.test MX
expect '"hello there"' dig web.test TXT
expect "1 2 22 web.test." dig _ssh._tcp.test SRV
expect 'alpn="h2"' dig https.test TYPE65
expect '"hello there"' dig +tcp web.test TXT
