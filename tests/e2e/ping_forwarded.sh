#!/bin/bash
# Echo to anyone else goes through a ping socket of the host; two pings at once keep their own answers.
#
#   ping in one ──── slipgate ──── 203.0.113.2, 2001:db8:203::2
. "$(dirname "$0")/../support/harness.sh"
gateway
client one

expect " 0% packet loss" in_client one ping -n -c 3 -i 0.2 -W 2 203.0.113.2
expect " 0% packet loss" in_client one ping -n -c 3 -i 0.2 -W 2 2001:db8:203::2
expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 -s 3000 203.0.113.2
background first in_client one ping -n -c 10 -i 0.2 -W 2 203.0.113.2
background second in_client one ping -n -c 10 -i 0.2 -W 2 -s 1000 203.0.113.2
for name in first second; do
  wait_for 10 grep -q "packets transmitted" "$W/$name.log"
  grep -q "10 received, 0% packet loss" "$W/$name.log" || fail "two pings at once: $(cat "$W/$name.log")"
done
# Nobody answers for a black hole.
expect_status 1 in_client one ping -n -c 1 -W 1 203.0.113.66
