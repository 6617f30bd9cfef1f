#!/bin/bash
# Two threads, a peer on each: flows stay on their peer's thread, and what is between peers finds its way.
#
#   one (first thread) ──┬── slipgate --threads 2 ──── 203.0.113.2
#   two (second thread) ─┘       203.0.113.1:8001, :8002 ──── two answers on :8001, :8002
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
status() { XDG_RUNTIME_DIR=$W/user "$PROGRAM" status --json | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }
servers
gateway --threads 2 --interface sgthreads -t 203.0.113.1:8001,,10.7.0.3:8001 -u 203.0.113.1:8002,,10.7.0.3:8002
client one
client two
for name in one two; do wait_for 5 in_client $name ping -n -c 1 -W 1 10.7.0.1; done
[ "$(status threads)" = 2 ] || fail "$(status threads) threads serve"

# The kernel brings each peer's datagrams to its thread: nothing passes between the two.
before=$(status messages)
background first peer one exchange 203.0.113.2
background second peer two exchange 2001:db8:203::2
wait_for 60 grep -q unchanged "$W/first.log"
wait_for 60 grep -q unchanged "$W/second.log"
[ "$(status messages)" = "$before" ] || fail "$(($(status messages) - before)) packets of flows to the host went from thread to thread"

expect " 0% packet loss" in_client one ping -n -c 5 -i 0.2 -W 2 10.7.0.3
[ "$(status messages)" -ge $((before + 10)) ] || fail "pings between the threads are not counted as messages"
background listener in_client two python3 "$peer_tool" accept-one fd07::3 8003
wait_for 30 grep -q listening "$W/listener.log"
expect "hello fd07::2" peer one ask fd07::3 8003

# What a forward accepts is served by the thread of its target's peer.
background tcp in_client two python3 "$peer_tool" accept-one 10.7.0.3 8001
background udp in_client two python3 "$peer_tool" answer-udp 10.7.0.3 8002
wait_for 30 grep -q listening "$W/tcp.log"
wait_for 30 grep -q listening "$W/udp.log"
expect "hello 203.0.113.2" in_server python3 "$peer_tool" ask 203.0.113.1 8001
expect "hello 203.0.113.2" in_server python3 "$peer_tool" udp-ask 203.0.113.1 8002

# A port that the kernel chooses is one port, with a socket for each thread, and stays when it is asked for again.
as_gateway_user() {
  XDG_RUNTIME_DIR=$W/user HOME=$W/user ip netns exec "$T-gateway" setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups \
    --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
}
uapi() { as_gateway_user "$PROGRAM" wg "$@" 2>"$W/wg.log"; }
port() { uapi show sgthreads listen-port; }
sockets() { in_gateway awk -v port=":$(printf %04X "$(port)")" 'index($2, port) { count++ } END { print count + 0 }' /proc/net/udp6; }
[ "$(sockets)" = 2 ] || fail "$(sockets) sockets at port $(port)"
uapi set sgthreads listen-port 0
chosen=$(port)
[ "$chosen" != 51820 ] || fail "the port stayed"
[ "$(sockets)" = 2 ] || fail "$(sockets) sockets at port $chosen"
uapi set sgthreads listen-port 0
[ "$(port)" = "$chosen" ] || fail "another port: $(port), not $chosen"
for name in one two; do
  wg set "$T$name" peer "$PUBLIC_gateway" endpoint "198.51.100.1:$chosen"
  wait_for 10 in_client $name ping -n -c 1 -W 1 10.7.0.1
done
