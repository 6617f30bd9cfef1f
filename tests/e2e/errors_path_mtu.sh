#!/bin/bash
# "Packet too big" of a router behind the gateway reaches the client, with the MTU; what may be cut passes.
#
#   one ──── slipgate ──── router ──── far (a path of 1,300 bytes)
. "$(dirname "$0")/../support/harness.sh"
. "$here/far_net.sh"
background servers in_far python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/servers.log"
gateway
client one
in_client one sysctl -qw net.ipv4.ping_group_range="0 2147483647"

# ping's own words, before anybody knows the path
expect_status 1 in_client one ping -n -c 1 -W 1 -M do -s 1372 198.18.1.3
grep -q "Frag needed and DF set (mtu = 1300)" "$W/status.log" || fail "ping -M do: $(cat "$W/status.log")"
expect_status 1 in_client one ping -n -c 1 -W 1 -M do -s 1352 2001:db8:18:1::3
grep -q "Packet too big: mtu=1300" "$W/status.log" || fail "ping -M do: $(cat "$W/status.log")"
for host in 198.18.1.3 2001:db8:18:1::3; do
  expect " 0% packet loss" in_client one ping -n -c 1 -W 2 -M do -s 1252 $host
  expect " 0% packet loss" in_client one ping -n -c 1 -W 2 -M want -s 1372 $host
done

in_client one python3 "$here/errors.py" path-mtu || fail "a row is wrong"
