#!/bin/bash
# Every way to put IP into UDP is taken and answered alike, both families inside and outside: TCP, UDP, ping, DNS, bulk.
#
#   one ── TUN ── GUE with a header, without, or FOU, changing ──── slipgate gue ──── 203.0.113.2
#   two ── TUN ── the same by an outer IPv6
. "$(dirname "$0")/../support/harness.sh"
. "$here/gue.sh"
servers

everything() { # client, how IPv4 and IPv6 come back to it
  local client=$1 host
  for host in 203.0.113.2 2001:db8:203::2; do
    expect " 0% packet loss" in_client "$client" ping -n -c 2 -i 0.2 -W 2 $host
    peer "$client" udp-echo $host 1 1392 4000
  done
  expect "hello from the server" in_client "$client" curl -sS -m 10 http://four.test:8080/hello
  expect "hello from the server" in_client "$client" curl -sS -m 10 http://six.test:8080/hello
  heard "$client" "^4 $2\$" || fail "IPv4 does not come back as $2: $(cat "$W/$client.log")"
  heard "$client" "^6 $3\$" || fail "IPv6 does not come back as $3: $(cat "$W/$client.log")"
}
tell() { # client, command
  say "$1" "$2"
  wait_for 5 heard "$1" "done $2"
}

gateway_command gue -b 198.51.100.1:6080 --address 10.7.0.1 --address fd07::1
gue_client one header header
everything one "header 6080" "header 6080"
peer one exchange 203.0.113.2
expect " 0% packet loss" in_client one ping -n -c 1 -W 2 10.7.0.1
expect " 0% packet loss" in_client one ping -n -c 1 -W 2 fd07::1
# A flow that stands goes on when the peer speaks otherwise.
conversation standing in_client one nc -N 203.0.113.2 7000
say standing before
wait_for 5 heard standing before
tell one "form 4 bare"
say standing behind
wait_for 5 heard standing behind
kill "${pid[standing]}"
everything one "bare 6080" "header 6080"
tell one "form 6 bare"
everything one "bare 6080" "bare 6080"
# FOU has a port for each family.
tell one "bind 6 198.51.100.2:6081"
everything one "bare 6080" "bare 6081"
expect "GUE peer 198.51.100.2:6080: heard" gateway_status
stop_gateway

# Where it listens when nothing is said.
gateway_command gue --dns 10.7.0.1:53
gue_client two header bare "[2001:db8:100::2]:6080" "[2001:db8:100::1]:6080"
everything two "header 6080" "bare 6080"
