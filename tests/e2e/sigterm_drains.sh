#!/bin/bash
# SIGTERM: new connections are no longer taken, the open one may finish, then the gateway ends with 0.
#
#   one ──── slipgate ──── echo 203.0.113.2:7000
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one
conversation session in_client one python3 "$peer_tool" keep 203.0.113.2
wait_for 10 heard session open

process=${pid[gateway]}
kill -TERM "$process"
refused() { peer one connect-error 203.0.113.2 8080 ECONNREFUSED 1000; }
wait_for 3 refused
say session "while draining"
wait_for 3 heard session alive
begin=$SECONDS
exec {stdin_session}>&- # the client ends its connection
status=0
wait "$process" || status=$?
unset "pid[gateway]"
[ $status = 0 ] || fail "the exit code is $status"
[ $((SECONDS - begin)) -lt 4 ] || fail "the gateway waited although nothing was open"
