#!/bin/bash
# A name that does not exist (NXDOMAIN) and a name without that type (NODATA) are told apart.
#
#   dig in one ──── slipgate 10.7.0.1 ──── the host's resolver 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one
dig() { in_client one dig +tries=2 +time=3 @10.7.0.1 "$@"; }

for type in A AAAA MX; do
  expect "status: NXDOMAIN" dig nowhere.test $type
  expect "status: NXDOMAIN" dig +tcp nowhere.test $type
done
for question in "four.test AAAA" "six.test A" "four.test TXT"; do
  expect "status: NOERROR" dig $question
  expect "ANSWER: 0" dig $question
done
