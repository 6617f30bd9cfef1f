#!/bin/bash
# 10,000 idle TCP flows, all open: at most 40 MB more resident memory; within 10 s of their end back to within 15 MB.
# serial: measures memory
# not sanitized: a sanitizer's memory is not ours
#
#   one ──── slipgate ──── echo 203.0.113.2:7000
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one
peer one many 203.0.113.2 20
before=$(resident)

conversation flows in_client one python3 "$peer_tool" idle 203.0.113.2 10000
wait_for 80 heard flows "open 10000"
during=$(resident)
say flows close
wait_for 20 heard flows closed
echo "idle $before kB, with 10,000 flows $during kB"
given_back() {
  echo "after their end $(resident) kB"
  [ "$(resident)" -le $((before + 15000)) ]
}
wait_for 10 given_back
[ $during -le $((before + 40000)) ] || fail "$((during - before)) kB for 10,000 flows"
