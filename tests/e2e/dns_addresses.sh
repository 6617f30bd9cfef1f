#!/bin/bash
# A and AAAA at the gateway's inside addresses, over UDP and TCP, and only what was asked for.
#
#   dig in one ──── slipgate 10.7.0.1, fd07::1 ──── the host's resolver 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one
dig() { in_client one dig +short +tries=2 +time=3 "$@"; }

for transport in +notcp +tcp; do
  for server in 10.7.0.1 fd07::1; do
    [ "$(dig $transport @$server web.test A)" = 203.0.113.2 ] || fail "A by $transport at $server"
    [ "$(dig $transport @$server web.test AAAA)" = 2001:db8:203::2 ] || fail "AAAA by $transport at $server"
  done
done
expect 203.0.113.2 dig @10.7.0.1 alias.test A
expect 203.0.113.2 dig @10.7.0.1 WEB.Test A
