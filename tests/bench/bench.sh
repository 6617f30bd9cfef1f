#!/bin/bash
# What slipgate costs, printed: see measure.py. --smoke uses small amounts, only to see that every measurement works.
#
#   one: wireguard-go, or batching_client ──── slipgate ──── iperf3, echo on 203.0.113.2
set -eu
bytes=600M batching_bytes=1000000000 trips=10000 short=3000 flows=10000
if [ "${1:-}" = --smoke ]; then bytes=20M batching_bytes=20000000 trips=200 short=100 flows=500; fi
. "$(dirname "$0")/../support/harness.sh"
measure() { in_client "$1" python3 "$here/../bench/measure.py" "${pid[gateway]}" "${@:2}"; }

servers
background iperf3 in_server iperf3 -s --forceflush
wait_for 30 grep -q "listening" "$W/iperf3.log"
gateway
idle=$(resident)
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

measure one stream "wireguard-go" up 203.0.113.2 $bytes
measure one stream "wireguard-go" down 203.0.113.2 $bytes
for direction in up down; do
  case $direction in up) port=7006 ;; down) port=7007 ;; esac
  in_wan python3 "$here/../bench/measure.py" "${pid[gateway]}" batching "$(dirname "$PROGRAM_AS_BUILT")/batching_client" $direction \
    $batching_bytes --private-key "$KEY_two" --peer-key "$PUBLIC_gateway" --endpoint 198.51.100.1:51820 --address 10.7.0.3 \
    --connect 203.0.113.2:$port
done
measure one round-trip 203.0.113.2 $trips
measure one connections 203.0.113.2 $short

before=$(resident)
conversation flows in_client one python3 "$peer_tool" idle 203.0.113.2 $flows
wait_for 80 heard flows "open $flows"
during=$(resident)
say flows close
wait_for 20 heard flows closed
given_back() { [ "$(resident)" -le $((before + 15000)) ]; }
wait_for 10 given_back
echo "memory: $idle kB at start, $before kB idle, $during kB with $flows idle flows, $(resident) kB within 10 s of their end"
