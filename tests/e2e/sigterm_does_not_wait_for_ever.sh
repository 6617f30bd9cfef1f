#!/bin/bash
# SIGTERM and SIGINT with a connection that never ends: 5 s, then the gateway ends with 0, and its socket is gone.
#
#   one ──── slipgate ──── echo 203.0.113.2:7000
. "$(dirname "$0")/../support/harness.sh"
servers
for signal in TERM INT; do
  gateway
  [ -n "${pid[one]:-}" ] || client one
  conversation "session$signal" in_client one python3 "$peer_tool" keep 203.0.113.2
  wait_for 15 heard "session$signal" open
  begin=$SECONDS
  process=${pid[gateway]}
  kill -$signal "$process"
  status=0
  wait "$process" || status=$?
  unset "pid[gateway]"
  [ $status = 0 ] || fail "the exit code after SIG$signal is $status"
  [ $((SECONDS - begin)) -le 7 ] || fail "SIG$signal took $((SECONDS - begin)) s"
  [ -z "$(find "$W/user" -type s)" ] || fail "a socket is left: $(find "$W/user" -type s)"
done
