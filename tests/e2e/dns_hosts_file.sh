#!/bin/bash
# Names of the host's hosts file are answered, without asking anyone.
#
#   dig in one ──── slipgate 10.7.0.1 ──── /etc/hosts of the gateway's host (no resolver is up)
. "$(dirname "$0")/../support/harness.sh"
printf '192.0.2.7 printer.home\n2001:db8::7 printer.home\n' >>"/etc/netns/$T-gateway/hosts"
gateway
client one
dig() { in_client one dig +short +tries=2 +time=3 @10.7.0.1 "$@"; }

[ "$(dig printer.home A)" = 192.0.2.7 ] || fail "no A of the hosts file"
[ "$(dig printer.home AAAA)" = 2001:db8::7 ] || fail "no AAAA of the hosts file"
