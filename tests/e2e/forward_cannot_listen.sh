#!/bin/bash
# A UDP forward follows its target's peer to another thread. Where it cannot listen there it says so, is shown so, and
# listens again when it can.
#
#   203.0.113.2 ──── slipgate, two threads, -u on 203.0.113.9 that goes and comes ──── 10.7.0.9, of one, then of two
. "$(dirname "$0")/../support/harness.sh"
ip -n "$T-gateway" addr add 203.0.113.9/24 dev to-server
gateway --name run --interface sgtest --threads 2 -u 203.0.113.9:8001,,10.7.0.9:8004
client one
client two
for name in one two; do wait_for 5 in_client $name ping -n -c 1 -W 1 10.7.0.1; done
asks() { XDG_RUNTIME_DIR=$W/user HOME=$W/user as_user "$PROGRAM" "$@"; }
for name in one two; do ip -n "$T-$name" addr add 10.7.0.9/32 dev "$T$name"; done
moves_to() { asks wg set sgtest peer "$1" allowed-ips "$2,10.7.0.9/32" >"$W/wg.log" 2>&1 || fail "$(cat "$W/wg.log")"; }
answers() { in_server python3 "$peer_tool" udp-ask 203.0.113.9 8001; }
for name in one two; do
  background answer_$name in_client $name python3 "$peer_tool" answer-udp 10.7.0.9 8004 "$name"
  wait_for 30 grep -q listening "$W/answer_$name.log"
done
moves_to "$PUBLIC_one" 10.7.0.2/32,fd07::2/128
wait_for 20 answers

ip -n "$T-gateway" addr del 203.0.113.9/24 dev to-server
shown() { asks forward list | grep -q "not now: .*Cannot assign requested address"; }
not_shown() { ! shown; }
moves_to "$PUBLIC_two" 10.7.0.3/32,fd07::3/128
wait_for 10 shown
grep -q "trying again" "$W/gateway.log" || fail "it was not said"
ip -n "$T-gateway" addr add 203.0.113.9/24 dev to-server
wait_for 10 not_shown
wait_for 20 grep -q "listening again on udp 203.0.113.9:8001" "$W/gateway.log"
expect "two" answers
