#!/bin/bash
# What does not fit is truncated (TC) and then whole over TCP; EDNS0 gives more room.
#
#   dig in one ──── slipgate 10.7.0.1 ──── the host's resolver 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one
dig() { in_client one dig +tries=2 +time=3 @10.7.0.1 "$@"; }

for question in "many.test A" "long.test TXT"; do
  dig +noedns +ignore $question | grep -q "flags:.* tc[ ;]" || fail "not truncated: $question"
done
expect "ANSWER: 199" dig +tcp many.test A
expect "ANSWER: 20" dig +tcp long.test TXT
expect "ANSWER: 199" dig +noedns many.test A # dig itself turns to TCP
dig +noedns +ignore some.test A | grep -q "flags:.* tc[ ;]" || fail "not truncated: 40 addresses"
expect "ANSWER: 40" dig +bufsize=1232 +ignore some.test A
expect "EDNS: version: 0" dig +bufsize=1232 web.test A
