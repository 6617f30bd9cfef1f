#!/bin/bash
# Clients of one gateway reach each other by their mapped addresses (RFC 4787 REQ-9), and nothing else of the host by it.
#
#   one ─┬── slipgate 203.0.113.1 ──── server
#   two ─┘
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
nat=$here/nat.py
ip -n "$T-server" addr add 203.0.113.3/24 dev to-gateway
ip -n "$T-server" addr add 2001:db8:203::3/64 dev to-gateway nodad preferred_lft 0
background four in_server python3 "$nat" server 203.0.113.2 203.0.113.3
background six in_server python3 "$nat" server 2001:db8:203::2 2001:db8:203::3
for name in four six; do wait_for 10 grep -q ready "$W/$name.log"; done
background host in_gateway python3 "$peer_tool" answer-udp 0.0.0.0 7500
wait_for 10 grep -q listening "$W/host.log"
gateway --udp-idle-timeout 9 # longer than a busy machine takes between two lines
client one
client two
no_flows() { XDG_RUNTIME_DIR=$W/user in_gateway "$PROGRAM" flows --json | grep -q '"flows":\[\]'; }

for server in 203.0.113.2 2001:db8:203::2; do
  expect "both ways, by the mapped addresses" in_client one python3 "$nat" hairpin $server
  conversation listener in_client two python3 "$nat" listen $server
  wait_for 10 grep -q . "$W/listener.log"
  read -r address port <"$W/listener.log"
  expect "heard from one" in_client one python3 "$peer_tool" udp-ask "$address" "$port" "from one"
  wait_for 5 heard listener "^from $address [0-9]*: from one"
  say listener end
  rm "$W/listener.in"
  prohibited=EHOSTUNREACH # Linux's errno for what is prohibited differs by family
  [[ $server != *:* ]] || prohibited=EACCES
  wait_for 30 no_flows
  in_client one python3 "$peer_tool" udp-refused "$address" "$port" $prohibited
done
# The host's own sockets are no mappings.
in_client one python3 "$peer_tool" udp-refused 203.0.113.1 7500 EHOSTUNREACH
