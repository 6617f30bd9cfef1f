#!/bin/bash
# What slipgate costs, beside others, in one run: measures and prints the table (table.py).
#
#   bench.sh [--smoke] [--only PART...]    PART: slipgate kernel slirp4netns pasta inside instructions loss pieces
#
# --smoke: small amounts, only to see that the measurements work; without the instructions (a test of their own) and loss.
#
#   one … eight            clients: wireguard-go (one, three, four, seven), slipgate tun (two, five, six, eight)
#                          their UDP sockets are in wan ────── gateway ────── server: load, DNS
#   slirp4netns, pasta     clients by TAP, MTU 65520 and 1500 ────┘
#
# One to six use slipgate: one and two are measured, three and five watched by a third party, four and six talk through
# somebody who opens everything. Seven and eight use wireguard-go and the kernel's forwarding, in the gateway's
# namespace as well.
set -eu
parts=" slipgate kernel slirp4netns pasta inside instructions loss pieces "
repeat=3 seconds=1.2 count=1500 flows=10000 smoke=
while [ $# -gt 0 ]; do
  case $1 in
    --smoke) smoke=--smoke parts=${parts/instructions loss /} repeat=1 seconds=0.2 count=100 flows=500 ;;
    --only) shift; parts=" $* "; break ;;
    *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
  esac
  shift
done
. "$(dirname "$0")/../support/harness.sh"
bench=$here/../bench
built=$(dirname "$PROGRAM_AS_BUILT")
results=${BENCH_RESULTS:-$W/results} # to be kept: give a file's name
wanted() { [[ $parts == *" $1 "* ]]; }
note() { printf '{"gateway": "%s", "client": "", "what": "note", "text": "%s"}\n' "$1" "$2" >>"$results"; }
: >"$results"

# contest GATEWAY CLIENT NAMESPACE PID [OPTION...] WHAT...
contest() {
  local gateway=$1 client=$2 place=$3 process=$4
  shift 4
  python3 "$bench/contest.py" --results "$results" --gateway "$gateway" --client "$client" --netns "$T-$place" --pid "$process" \
    --load "$built/load" --host 203.0.113.2 --repeat $repeat --seconds $seconds --count $count --flows $flows "$@"
}

# wireguard_client NAME PROGRAM ENDPOINT: a WireGuard interface alone in its namespace; the UDP socket stays in wan
declare -A host_of=([one]=2 [two]=3 [three]=4 [four]=5 [five]=6 [six]=7 [seven]=8 [eight]=9)
wireguard_client() {
  local name=$1 program=$2 device=$T$1 key=KEY_$1 ready line
  namespace "$name" 10.7.0.1
  ip netns exec "$T-$name" sysctl -qw net.ipv4.ip_local_port_range="2000 65000"
  {
    printf '[Interface]\nPrivateKey = %s\nListenPort = 5000%s\n' "${!key}" "${host_of[$name]}"
    printf '[Peer]\nPublicKey = %s\n' "$PUBLIC_gateway"
    printf 'AllowedIPs = 0.0.0.0/0\nEndpoint = %s\n' "$3"
  } >"$W/$device.conf"
  chmod 600 "$W/$device.conf"
  if [ "$program" = wireguard-go ]; then
    wireguard_go "$name" "$device" wan
    wg setconf "$device" "$W/$device.conf"
  else
    mkfifo "$W/$name.ready"
    exec {ready}<>"$W/$name.ready"
    background "$name" ip netns exec "$T-wan" "$PROGRAM" tun "$W/$device.conf" --table off --ready-fd "$ready"
    read -rt 20 line <&"$ready" || fail "slipgate tun does not get ready"
    exec {ready}>&-
  fi
  in_wan ip link set "$device" netns "$T-$name"
  ip -n "$T-$name" addr add "10.7.0.${host_of[$name]}/32" dev "$device"
  ip -n "$T-$name" link set "$device" mtu 1420 up
  ip -n "$T-$name" route add default dev "$device"
  wait_for 10 answers "$name"
}
wireguard_go() { # name of the process, device, namespace
  background "$1" ip netns exec "$T-$3" wireguard-go -f "$2"
  wait_for 30 test -S "/var/run/wireguard/$2.sock"
}
answers() { in_client "$1" ping -n -c 1 -W 1 203.0.113.2; }

# watched PROGRAM CLIENT CLIENT PORT: whether what goes over the wire is WireGuard. The first client's datagrams are watched
# by a third party, from the handshake on; the second's pass somebody who has all keys, and opens them.
watched() {
  local program=$1 seen=$2 opened=$3 key=PUBLIC_$2 private=KEY_$3
  # what a cable would carry: single datagrams
  ip -n "$T-wan" link set to-gateway gso_max_segs 1
  ip -n "$T-gateway" link set to-wan gso_max_segs 1
  conversation tap ip netns exec "$T-wan" python3 "$bench/tap.py" --device to-gateway --client 198.51.100.2 \
    --port "5000${host_of[$seen]}" --gateway 198.51.100.1 --keys "${!key}" "$PUBLIC_gateway"
  wait_for 10 heard tap watching
  wireguard_client "$seen" "$program" 198.51.100.1:51820
  some_traffic "$seen"
  end_of tap "$program"
  ip -n "$T-wan" link set to-gateway gso_max_segs 65535
  ip -n "$T-gateway" link set to-wan gso_max_segs 65535

  conversation middle ip netns exec "$T-wan" python3 "$bench/middle.py" --listen 198.51.100.3:$4 \
    --gateway 198.51.100.1:51820 --keys "${!private}" "$KEY_gateway"
  wait_for 10 heard middle listening
  wireguard_client "$opened" "$program" 198.51.100.3:$4
  some_traffic "$opened"
  end_of middle "$program"
}
some_traffic() { # through which client
  local words
  for words in "up 203.0.113.2 4 0.3" "down 203.0.113.2 4 0.3" "udp 203.0.113.2 same 0.2" "trips 203.0.113.2 50"; do
    in_client "$1" "$built/load" $words $$ >"$W/traffic.log"
  done
}
end_of() { # watcher, program: its findings to the results
  say "$1" end
  wait_for 60 heard "$1" '^{'
  sed -n "s/^{/{\"gateway\": \"slipgate\", \"client\": \"$2\", \"what\": \"$1\", /p" "$W/$1.log" >>"$results"
  rm -f "$W/$1.in"
}

# tap_contest GATEWAY MTU DNS PROGRAM...: a gateway that makes a TAP device in the namespace of its client
tap_contest() {
  local gateway=$1 mtu=$2 name=$1-$2 dns=$3 what=bulk
  shift 3
  namespace "$name" "$dns"
  background "$name" ip netns exec "$T-gateway" "$@"
  if ! (wait_for 10 in_client "$name" timeout 1 "$built/load" trips 203.0.113.2 1 ${pid[$name]}) 2>>"$W/waiting.log"; then
    note "$gateway" "does not carry a connection here (MTU $mtu)"
    return
  fi
  # what does not depend on the size of segments is measured once; a crowd comes last, as not all get over it
  [ $mtu != 65520 ] || what="bulk trips connections udp dns memory"
  contest "$gateway" "TAP, MTU $mtu" "$name" "${pid[$name]}" --dns "$dns" $what
  kill "${pid[$name]}" || note "$gateway" "ended by itself (MTU $mtu)"
}

for name in "${!host_of[@]}"; do
  declare "KEY_$name=$(wg genkey)"
  key=KEY_$name
  declare "PUBLIC_$name=$(wg pubkey <<<"${!key}")"
done
background load in_server "$built/load" serve
wait_for 30 grep -q ready "$W/load.log"
servers

if wanted slipgate; then
  {
    printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.7.0.1/24\n' "$KEY_gateway"
    for name in one two three four five six; do
      key=PUBLIC_$name
      printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.0.%s/32\n' "${!key}" "${host_of[$name]}"
    done
  } >"$W/user/gateway.conf"
  chmod 600 "$W/user/gateway.conf"
  chown $ORDINARY "$W/user/gateway.conf"
  gateway --control "$W/user/control.sock"
  wireguard_client one wireguard-go 198.51.100.1:51820
  contest slipgate wireguard-go one "${pid[gateway]}" memory
  wireguard_client two "slipgate tun" 198.51.100.1:51820
  contest slipgate wireguard-go one "${pid[gateway]}" --dns 10.7.0.1 --inside "$built/inside" --control "$W/user/control.sock" \
    bulk trips connections udp
  contest slipgate "slipgate tun" two "${pid[gateway]}" --dns 10.7.0.1 --inside "$built/inside" --control "$W/user/control.sock" \
    bulk trips connections udp dns
  watched wireguard-go three four 51830
  watched "slipgate tun" five six 51831
fi

if wanted kernel; then
  wireguard_go kernel "${T}kernel" gateway
  {
    printf '[Interface]\nPrivateKey = %s\nListenPort = 51821\n' "$KEY_gateway"
    for name in seven eight; do
      key=PUBLIC_$name
      printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.0.%s/32\n' "${!key}" "${host_of[$name]}"
    done
  } >"$W/kernel.conf"
  wg setconf "${T}kernel" "$W/kernel.conf"
  ip -n "$T-gateway" link set "${T}kernel" mtu 1420 up
  in_gateway sysctl -qw net.ipv4.ip_forward=1
  for name in seven eight; do
    ip -n "$T-gateway" route add "10.7.0.${host_of[$name]}/32" dev "${T}kernel"
    ip -n "$T-server" route add "10.7.0.${host_of[$name]}/32" via 203.0.113.1
  done
  wireguard_client seven wireguard-go 198.51.100.1:51821
  wireguard_client eight "slipgate tun" 198.51.100.1:51821
  contest kernel wireguard-go seven "${pid[kernel]}" memory bulk trips connections udp
  contest kernel "slipgate tun" eight "${pid[kernel]}" bulk trips connections udp
fi

mtus="65520 1500"
[ -z "$smoke" ] || mtus=65520
for mtu in $mtus; do
  for gateway in slirp4netns pasta; do
    wanted $gateway || continue
    command -v $gateway >/dev/null || { note $gateway "not installed"; continue; }
    case $gateway in
      slirp4netns) words=(10.0.2.3 slirp4netns --configure --mtu=$mtu --netns-type=path "/run/netns/$T-$gateway-$mtu" tap0) ;;
      pasta)
        words=(203.0.113.9 pasta --foreground --quiet --runas 0 --config-net --no-map-gw --dns-forward 203.0.113.9 --mtu $mtu
          --netns "/run/netns/$T-$gateway-$mtu")
        ;;
    esac
    tap_contest $gateway $mtu "${words[@]}"
  done
done

# What idleness costs with 10,000 peers.
if wanted slipgate; then
  stop_gateway
  python3 "$bench/many_peers.py" "$KEY_gateway" 10000 >"$W/user/gateway.conf"
  gateway
  contest slipgate "10,000 peers" gateway "${pid[gateway]}" idle
  stop_gateway
fi

if wanted inside; then
  "$built/inside" $smoke >>"$results"
fi
if wanted instructions; then
  # whether they may be so many is the matter of the test of that name
  SEGMENTS=$built/segments "$bench/segments.sh" >"$W/instructions" || note instructions "$(tail -n 1 "$W/instructions")"
  awk '$1 == "instructions" {
    printf "{\"what\": \"instructions\", \"number\": %d, \"case\": \"%s\", \"count\": %d, \"stored\": %s}\n", NR, $2, $3, $4 == "unknown" ? "null" : $4
  }' "$W/instructions" >>"$results"
fi

python3 "$bench/table.py" $smoke "$results"
if wanted loss; then
  echo
  echo "Through a network that delays and loses (bar 3.8 asks for nine runs: scripts/bench --loss --runs 9)"
  SLIPGATE=$PROGRAM_AS_BUILT "$bench/loss.sh" --runs 1 --seconds 4 2>"$W/loss.log" || { cat "$W/loss.log"; fail "loss.sh"; }
fi
if wanted pieces; then
  "$built/pieces" ${smoke:+--benchmark_min_time=0.005} --benchmark_color=false 2>/dev/null
fi
