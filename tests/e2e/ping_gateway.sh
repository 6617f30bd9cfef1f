#!/bin/bash
# The gateway answers ping at its inside addresses, and at those of --pingable, also where ping sockets are forbidden.
#
#   ping in one ──── slipgate 10.7.0.1, fd07::1, 99.99.99.99
. "$(dirname "$0")/../support/harness.sh"
in_gateway sysctl -qw net.ipv4.ping_group_range="1 0"
gateway --pingable 99.99.99.99 --pingable 10.7.0.1 --pingable fd07::1
client one

for address in 10.7.0.1 fd07::1 99.99.99.99; do
  expect " 0% packet loss" in_client one ping -n -c 3 -i 0.2 -W 2 $address
done
expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 -s 4000 10.7.0.1
