#!/bin/bash
# iperf3 up and down, both families.
#
#   iperf3 -c in one ──── slipgate ──── iperf3 -s on 203.0.113.2, 2001:db8:203::2
. "$(dirname "$0")/../support/harness.sh"
background iperf3 in_server iperf3 -s --forceflush
wait_for 30 grep -q "listening" "$W/iperf3.log"
gateway
client one

for server in 203.0.113.2 2001:db8:203::2; do
  for way in "" -R; do
    expect "receiver" in_client one iperf3 -c $server -n 20M --connect-timeout 5000 $way
  done
done
expect "receiver" in_client one iperf3 -c 203.0.113.2 -n 20M -P 4 -R
expect "receiver" in_client one iperf3 -c 203.0.113.2 -u -b 20M -l 1200 -t 1
