#!/bin/bash
# A change of the listening port that fails on the second thread changes nothing on the first: all threads or none.
#
#   wg ── socket ── slipgate, two threads, too few descriptors ── one
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
gateway --interface sgtest --threads 2
client one
client two # so that each thread has a peer
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
wait_for 5 in_client two ping -n -c 1 -W 1 10.7.0.1
uapi() {
  XDG_RUNTIME_DIR=$W/user HOME=$W/user ip netns exec "$T-gateway" setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups \
    --no-new-privs --inh-caps=-all --bounding-set=-all -- "$PROGRAM" wg "$@" 2>"$W/wg.log"
}
expect "listening port: 51820" uapi show sgtest

# The first two free descriptors are for wg's own connection and the first thread's socket.
free=0 found=0
while [ $found -lt 2 ]; do
  [ -e "/proc/${pid[gateway]}/fd/$free" ] || found=$((found + 1))
  free=$((free + 1))
done
as_user prlimit --pid "${pid[gateway]}" --nofile="$free:"
expect_status 1 uapi set sgtest listen-port 51821
expect "Too many open files" cat "$W/wg.log"
as_user prlimit --pid "${pid[gateway]}" --nofile="$(ulimit -Hn):"
expect "listening port: 51820" uapi show sgtest
[ -z "$(in_gateway ss -Hunl sport = 51821)" ] || fail "a socket of the port that was not to be"
[ "$(in_gateway ss -Hunl sport = 51820 | grep -vc '\[')" = 2 ] || fail "not both threads' sockets: $(in_gateway ss -unl)"
expect "1 received" in_client one ping -n -c 1 -W 2 10.7.0.1
expect "1 received" in_client two ping -n -c 1 -W 2 10.7.0.1

# and it works when there is room
uapi set sgtest listen-port 51822
expect "listening port: 51822" uapi show sgtest
wg set "${T}one" peer "$PUBLIC_gateway" endpoint 198.51.100.1:51822
wg set "${T}two" peer "$PUBLIC_gateway" endpoint 198.51.100.1:51822
expect "1 received" in_client one ping -n -c 1 -W 2 10.7.0.1
expect "1 received" in_client two ping -n -c 1 -W 2 10.7.0.1
