#!/bin/bash
# The host's hosts file and resolv.conf may change while the gateway runs: the next questions follow.
#
#   dig in one ──── slipgate 10.7.0.1 ──── NSD 203.0.113.2, or another resolver at 2001:db8:203::2
. "$(dirname "$0")/../support/harness.sh"
name_server
background resolver in_server python3 "$here/dns.py" resolver hole.test 2001:db8:203::2
wait_for 10 in_server dig +tries=1 +time=1 @2001:db8:203::2 any.test A
gateway
client one
ask() { in_client one dig +short +tries=2 +time=3 @10.7.0.1 "$@"; }
is() { [ "$(ask "$2" A)" = "$1" ]; }
host_file() { cat >"/etc/netns/$T-gateway/$1"; } # in place: it is mounted as a file

wait_for 5 is 192.0.2.4 n4.example.test # NSD, into the cache
is "" printer.home || fail "a printer before there is one"
echo "192.0.2.77 printer.home" | host_file hosts
wait_for 5 is 192.0.2.77 printer.home
[ "$(ask -x 192.0.2.77)" = printer.home. ] || fail "no name for the printer's address"
echo "192.0.2.78 printer.home" | host_file hosts
wait_for 5 is 192.0.2.78 printer.home
: | host_file hosts
wait_for 5 is "" printer.home

# Another network: what the cache holds is not true there.
echo "nameserver 2001:db8:203::2" | host_file resolv.conf
wait_for 5 is 192.0.2.1 n4.example.test
echo "nameserver 203.0.113.2" | host_file resolv.conf
wait_for 5 is 192.0.2.4 n4.example.test
