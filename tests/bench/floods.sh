#!/bin/bash
# What hostile packets do to a gateway and to its other clients: floods it, prints a table (floods.py), and fails when memory,
# another's round trip or what stays afterwards is beyond the bounds.
#
#   floods.sh [--smoke] [KIND...]      KIND: a row of floods.py
#
# --smoke: a tenth of the packets, each flood once; round trips are printed and not judged
#
#   hostile 10.7.0.2 ──┬── slipgate, one thread ──── echo, a resolver that never answers, a black hole
#   steady 10.7.0.3 ───┘   and a sink beside it
# Floods and measurement are on one processor, slipgate and the sink on another.
set -eu
smoke=
case ${1:-} in
  --smoke) smoke=--smoke; shift ;;
  -*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
esac
. "$(dirname "$0")/../support/harness.sh"
bench=$here/../bench
flood=$(dirname "$PROGRAM_AS_BUILT")/flood

{
  printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.7.0.1/24\n' "$KEY_gateway"
  printf '[Peer]\n# hostile\nPublicKey = %s\nAllowedIPs = 10.7.0.2/32\n' "$PUBLIC_one"
  printf '[Peer]\n# steady\nPublicKey = %s\nAllowedIPs = 10.7.0.3/32\n' "$PUBLIC_two"
} >"$W/user/gateway.conf"
chmod 600 "$W/user/gateway.conf"
chown $ORDINARY "$W/user/gateway.conf"
last=$(($(nproc) - 1)) # processor

background resolver in_server python3 "$here/dns.py" resolver hole.test
wait_for 10 in_server dig +tries=1 +time=1 @203.0.113.2 any.test A
background echo in_server taskset -c $last "$flood" echo 203.0.113.2:7000
wait_for 10 grep -q ready "$W/echo.log"
background discard in_server "$flood" sink 203.0.113.2:9
wait_for 10 grep -q ready "$W/discard.log"
background sink in_gateway taskset -c 0 "$flood" sink 198.51.100.1:51999
wait_for 10 grep -q ready "$W/sink.log"
gateway --threads 1 --udp-idle-timeout 5 --control "$W/user/control.sock"
taskset -acp 0 "${pid[gateway]}" >"$W/pinned.log"

python3 "$bench/floods.py" --pid "${pid[gateway]}" --control "$W/user/control.sock" --target 198.51.100.1:51820 \
  --sink 198.51.100.1:51999 $smoke --kinds "$@" --flood ip netns exec "$T-wan" taskset -c $last "$flood" \
  198.51.100.1:51820 TARGET "$PUBLIC_gateway" "$KEY_one" "$KEY_two" 203.0.113.2:7000 ||
  fail "a bound is broken"
