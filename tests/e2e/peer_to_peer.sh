#!/bin/bash
# Peers reach each other by their inside addresses.
#
#   one 10.7.0.2, fd07::2 ──── slipgate ──── two 10.7.0.3, fd07::3
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
gateway
client one
client two
wait_for 5 in_client two ping -n -c 1 -W 1 10.7.0.1 # so that the gateway knows where two is

expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 10.7.0.3
background listener in_client two python3 "$peer_tool" accept-one fd07::3 8001
wait_for 30 grep -q listening "$W/listener.log"
expect "hello fd07::2" peer one ask fd07::3 8001
# What comes in fragments goes on in fragments; the gateway is a hop between them.
for address in 10.7.0.3 fd07::3; do
  expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 -s 3000 $address
done
background echo in_client two python3 "$here/servers.py"
wait_for 30 grep -q ready "$W/echo.log"
for address in 10.7.0.3 fd07::3; do
  peer one udp-echo $address 0 1000 9000
done
expect "1  10.7.0.1" in_client one traceroute -n -q 1 -w 2 10.7.0.3
expect "1  fd07::1" in_client one traceroute -6 -n -q 1 -w 2 fd07::3
