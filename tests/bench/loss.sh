#!/bin/bash
# What the gateway's TCP gets through a bad network, beside the kernel's through the same: paired runs with seeded loss
# (relay.cc), one stream towards the client for a few seconds, and their ratio.
#
#   loss.sh [--runs N] [--seconds S] [--congestion "cubic bbr"] [--cells "1 2 5 into share"]
#
# `into`: the kernel's CUBIC sends from the client, into slipgate and into a kernel, at 50 ms with 0.1 % loss.
# `share`: both at once through one bottleneck, the kernel's with CUBIC; 50 % is fair.
#
#   one: wireguard-go ──── relay ──── slipgate ──────────────── loss_stream.py on 203.0.113.2
#   two: wireguard-go ──── relay ──── wireguard-go, with loss_stream.py on its own address
set -eu
runs=3 seconds=6 kinds="cubic bbr" cells="1 2 3 4 5 into share"
while [ $# -gt 1 ]; do
  case $1 in
    --runs) runs=$2 ;;
    --seconds) seconds=$2 ;;
    --congestion) kinds=$2 ;;
    --cells) cells=$2 ;;
    *) echo "loss.sh: what is $1?" >&2; exit 2 ;;
  esac
  shift 2
done
. "$(dirname "$0")/../support/harness.sh"
relay=$(dirname "$PROGRAM_AS_BUILT")/relay
stream=$here/../bench/loss_stream.py
name_1="20 ms, 1 % loss" path_1="--delay 10 --loss 0.01"
name_2="50 ms, 0.1 % loss" path_2="--delay 25 --loss 0.001"
name_3="100 ms, 0.01 % loss" path_3="--delay 50 --loss 0.0001"
name_4="50 ms, 100 Mbit/s with a 50 ms queue" path_4="--delay 25 --rate 100 --queue 50"
name_5="50 ms, 1 % reordered by 5 ms" path_5="--delay 25 --reorder 0.01 --reorder-by 5 --rate 100 --queue 100"

# The kernel's side: the same tunnel, but its TCP is the sender.
namespace kernel 127.0.0.1
link wan "192.0.2.1/24" kernel "192.0.2.2/24"
in_kernel() { ip netns exec "$T-kernel" "$@"; }
in_kernel sysctl -qw net.ipv4.tcp_no_metrics_save=1
background wireguard_kernel in_kernel wireguard-go -f "${T}k"
wait_for 30 test -S "/var/run/wireguard/${T}k.sock"
printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.0.3/32\n' \
  "$KEY_gateway" "$PUBLIC_two" >"$W/kernel.conf"
in_kernel wg setconf "${T}k" "$W/kernel.conf"
ip -n "$T-kernel" addr add 10.7.0.1/24 dev "${T}k"
ip -n "$T-kernel" link set "${T}k" mtu 1420 up
background source_kernel in_kernel python3 "$stream" serve
background source in_server python3 "$stream" serve

client_endpoint=198.51.100.2:7001 client one
client_endpoint=198.51.100.2:7002 client two
for name in one two; do in_client $name sysctl -qw net.ipv4.tcp_no_metrics_save=1; done

through_relay() { # port, to, relay's options, then a command
  local port=$1 to=$2 options=$3
  shift 3
  # shellcheck disable=SC2086
  background relay ip netns exec "$T-wan" "$relay" --listen "198.51.100.2:$port" --to "$to" $options
  wait_for 5 grep -q ready "$W/relay.log"
  "$@"
  kill -TERM "${pid[relay]}" || { cat "$W/relay.log"; fail "the relay ended"; }
  while kill -0 "${pid[relay]}" 2>/dev/null; do pause; done
}
name_into="into the gateway, 50 ms, 0.1 % loss" path_into="--delay 25 --up-loss 0.001"
send() { # client, address, whatever
  wait_for 60 in_client "$1" ping -n -c 1 -W 1 10.7.0.1
  in_client "$1" python3 "$stream" send "$2" cubic "$seconds" >>"$W/figures"
}
# Bytes that a sender has sent again so far; the kernel counts full segments.
resent_one() { XDG_RUNTIME_DIR=$W/user "$PROGRAM" status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["tcp_bytes_resent"])'; }
resent_two() {
  in_kernel awk '/^Tcp:/ && !names { names = $0; next } /^Tcp:/ { split(names, name); for (i in name) if (name[i] == "RetransSegs") print $i * 1368 }' /proc/net/snmp
}
measure() { # client, address, congestion
  local before
  wait_for 60 in_client "$1" ping -n -c 1 -W 1 10.7.0.1
  before=$(resent_"$1")
  in_client "$1" python3 "$stream" measure "$2" "$3" "$seconds" >"$W/figure"
  echo "$(cat "$W/figure") $((($(resent_"$1") - before)))" >>"$W/figures"
}

share() {
  background relay ip netns exec "$T-wan" "$relay" --listen 198.51.100.2:7001,198.51.100.2:7002 --seed "$run" \
    --to 198.51.100.1:51820,192.0.2.2:51820 --delay 20 --rate 50 --queue 50
  wait_for 5 grep -q ready "$W/relay.log"
  for name in one two; do wait_for 60 in_client $name ping -n -c 1 -W 1 10.7.0.1; done
  background reader_two in_client two python3 "$stream" measure 10.7.0.1 cubic $((seconds * 3))
  in_client one python3 "$stream" measure 203.0.113.2 default $((seconds * 3)) >"$W/figures"
  wait_for $((seconds * 3 + 5)) grep -q . "$W/reader_two.log"
  kill -TERM "${pid[relay]}"
  while kill -0 "${pid[relay]}" 2>/dev/null; do pause; done
  echo "$kind;share of 50 Mbit/s with kernel CUBIC;$(cat "$W/figures");$(cat "$W/reader_two.log")" | tee -a "$W/results" >&2
}

: >"$W/results"
for kind in $kinds; do
  in_kernel sysctl -n net.ipv4.tcp_available_congestion_control | grep -qw "$kind" || modprobe "tcp_$kind" 2>/dev/null || true
  gateway --congestion "$kind"
  for cell in $cells; do
    if [ "$cell" = share ]; then
      for run in $(seq "$runs"); do share; done
      continue
    fi
    name=name_$cell path=path_$cell act=measure
    [ "$cell" != into ] || act=send
    for run in $(seq "$runs"); do
      : >"$W/figures"
      through_relay 7001 198.51.100.1:51820 "${!path} --seed $run" $act one 203.0.113.2 default
      through_relay 7002 192.0.2.2:51820 "${!path} --seed $run" $act two 10.7.0.1 "$kind"
      echo "$kind;${!name};$(paste -sd ';' "$W/figures")" | tee -a "$W/results" >&2
    done
  done
  stop_gateway
done
python3 "$stream" table "$W/results"
