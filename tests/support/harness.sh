# The rig of the end-to-end tests; a test sources it, then calls its functions. Everything lives in namespaces of its own
# and is removed at exit, so tests run side by side. Needs root; exits 77 (skipped) without.
#
#   one, two           wan                     gateway                  server
#   10.7.0.2  ..3 ──── wireguard-go's ──────── slipgate ─────────────── web, DNS, echo, iperf3
#   fd07::2   ..3      UDP sockets             an ordinary user         203.0.113.2
#   (tunnel only)      198.51.100.2            198.51.100.1             2001:db8:203::2
#                      2001:db8:100::2         2001:db8:100::1          black holes: 203.0.113.66, 2001:db8:203::66
#                                              203.0.113.1
#                                              2001:db8:203::1
#
# The gateway's own inside addresses are 10.7.0.1 and fd07::1. Nothing forwards packets: what passes, slipgate passes.
#
#   gateway [OPTION...]            starts `slipgate wireguard` with both peers, as a user without rights; waits until it serves
#   gateway_command WORD...        the same for any other command of slipgate
#   client NAME [FAMILY]           starts wireguard-go as peer `one` or `two`, by the outer family 4 (default) or 6
#   in_client NAME CMD..., in_server CMD..., in_gateway CMD..., in_wan CMD...      run there
#   servers                        starts tests/support/servers.py on the server (ports: see there)
#   name_server [OPTION...]        starts NSD there, with the zones of tests/support/dns.py; lines for its `server:` section
#   background NAME CMD...         starts CMD, output in $W/NAME.log; ended at exit; pid in ${pid[NAME]}
#   wait_for SECONDS CMD...        until CMD succeeds; fails the test when it never does
#   expect TEXT CMD...             CMD's output contains TEXT
#   peer NAME BEHAVIOUR...         a behaviour of tests/support/peer.py, as that client
#   expect_status CODE CMD...      CMD exits with CODE
#   conversation NAME CMD..., say NAME LINE, heard NAME TEXT [TIMES]      a process that is spoken to while the test goes on
#   stop_gateway                   SIGTERM; the exit code must be 0 within 7 s (5 s of draining)
#
# Variables: W (scratch folder), PROGRAM (slipgate), peer_tool (tests/support/peer.py), KEY_gateway KEY_one KEY_two and PUBLIC_....
set -eEuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROGRAM=${SLIPGATE:-$(cd "$here/../.." && pwd)/build/release/bin/slipgate}
PROGRAM_AS_BUILT=$PROGRAM
peer_tool=$here/peer.py
test_name=$(basename "$0")
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 # Debian's own programs

skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "network namespaces need root"
[ -c /dev/net/tun ] || skip "no /dev/net/tun for wireguard-go"
[ -x "$PROGRAM" ] || { echo "no program $PROGRAM"; exit 1; }

T=sg$$
W=$(mktemp -d "${TMPDIR:-/tmp}/slipgate-test.XXXXXX")
chmod 755 "$W"
mkfifo "$W/never"
declare -A pid
ORDINARY=65534 # nobody
ulimit -n "$(ulimit -Hn)"

pause() { read -rt 0.03 <>"$W/never" || true; } # between two looks at a condition

fail() {
  trap - ERR
  echo "FAILED: $*" >&2
  exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

wait_for() {
  local seconds=$1 until
  shift
  until=$((SECONDS + seconds + 1))
  until "$@" >"$W/wait.log" 2>&1; do
    [ $SECONDS -lt $until ] || { cat "$W/wait.log"; fail "not within $seconds s: $*"; }
    pause
  done
}

expect() {
  local text=$1 output
  shift
  output=$("$@" 2>&1) || { echo "$output"; fail "exit $?: $*"; }
  [[ $output == *"$text"* ]] || { echo "$output"; fail "no \"$text\" in the output of: $*"; }
}

expect_status() {
  local code=$1 status=0
  shift
  "$@" >"$W/status.log" 2>&1 || status=$?
  [ $status = "$code" ] || { cat "$W/status.log"; fail "exit $status, not $code: $*"; }
}

in_wan() { ip netns exec "$T-wan" "$@"; }
in_gateway() { ip netns exec "$T-gateway" "$@"; }
in_server() { ip netns exec "$T-server" "$@"; }
in_client() {
  local name=$1
  shift
  ip netns exec "$T-$name" "$@"
}
as_user() { setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"; }

background() {
  local name=$1
  shift
  : >"$W/$name.log" # now, not when the child gets to it: who waits for a line must not find an earlier run's
  "$@" >"$W/$name.log" 2>&1 </dev/null &
  pid[$name]=$!
  disown
}

# --- topology -------------------------------------------------------------------------------------------------------
remove_namespaces() { # prefix
  local name
  for name in $(ip netns list | awk '{print $1}' | grep "^$1-" || true); do
    ip netns pids "$name" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "$name" 2>/dev/null || true
    rm -rf "/etc/netns/$name"
  done
}
# what a killed run of ours left behind
for stale in $(ip netns list | sed -n 's/^\(sg[0-9]*\)-.*/\1/p' | sort -u); do
  [ -e "/proc/${stale#sg}" ] || remove_namespaces "$stale"
done

namespace() { # name, resolver...
  local name=$T-$1
  shift
  ip netns add "$name"
  mkdir -p "/etc/netns/$name"
  printf 'nameserver %s\n' "$@" >"/etc/netns/$name/resolv.conf"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"/etc/netns/$name/hosts"
  ip -n "$name" link set lo up
  ip netns exec "$name" sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0
}

link() { # namespace, its addresses, namespace, its addresses: a cable between the two, named after the far end
  local a=$1 b=$3 address
  ip -n "$T-$a" link add "to-$b" type veth peer name "to-$a" netns "$T-$b"
  for address in $2; do ip -n "$T-$a" addr add "$address" dev "to-$b" $(nodad "$address"); done
  for address in $4; do ip -n "$T-$b" addr add "$address" dev "to-$a" $(nodad "$address"); done
  ip -n "$T-$a" link set "to-$b" up
  ip -n "$T-$b" link set "to-$a" up
}
nodad() { [[ $1 != *:* ]] || echo nodad; }

on_exit() {
  local status=$?
  trap - EXIT ERR
  set +e
  if [ $status = 0 ] && [ -n "${pid[gateway]:-}" ]; then
    end_gateway >&2 || status=1
  fi
  local name
  for name in "${!pid[@]}"; do kill -KILL "${pid[$name]}" 2>/dev/null; done
  remove_namespaces "$T"
  wait 2>/dev/null
  rm -f /var/run/wireguard/"$T"*.sock
  if grep -qE 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:' "$W"/*.log 2>/dev/null; then
    echo "FAILED: a sanitizer has something to say" >&2
    status=1
  fi
  if [ -z "${intruded:-}" ] && grep -q 'sandbox: the system call' "$W"/*.log 2>/dev/null; then
    grep -h 'sandbox: the system call' "$W"/*.log >&2
    echo "FAILED: the sandbox refuses what slipgate does" >&2
    status=1
  fi
  if [ $status != 0 ] && [ $status != 77 ]; then
    for name in gateway one two servers; do
      [ ! -s "$W/$name.log" ] || { echo "--- $name"; tail -n 60 "$W/$name.log"; }
    done
  fi >&2
  rm -rf "$W"
  exit $status
}
trap on_exit EXIT
trap 'exit 143' TERM INT

mkdir -p "$W/user"
chown $ORDINARY:$ORDINARY "$W/user"
if ! as_user test -x "$PROGRAM"; then # the tree may lie where an ordinary user cannot look
  cp "$PROGRAM" "$W/slipgate"
  chmod 755 "$W/slipgate"
  PROGRAM=$W/slipgate
fi

namespace wan 127.0.0.1
namespace gateway 203.0.113.2
namespace server 127.0.0.1
link wan "198.51.100.2/24 198.51.100.3/24 2001:db8:100::2/64" gateway "198.51.100.1/24 2001:db8:100::1/64"
link gateway "203.0.113.1/24 2001:db8:203::1/64" server "203.0.113.2/24 2001:db8:203::2/64"
in_gateway sysctl -qw net.ipv4.ping_group_range="0 2147483647" net.ipv4.ip_unprivileged_port_start=1024
ip -n "$T-gateway" route add default via 203.0.113.2
ip -n "$T-wan" route add default via 198.51.100.1
for hole in 203.0.113.66 2001:db8:203::66; do # a neighbour that nobody is: packets to it vanish
  ip -n "$T-gateway" neigh replace $hole lladdr 02:00:00:00:00:66 nud permanent dev to-server
done

for name in gateway one two; do
  declare "KEY_$name=$(wg genkey)"
  key=KEY_$name
  declare "PUBLIC_$name=$(wg pubkey <<<"${!key}")"
done
PRESHARED=$(wg genpsk)

# --- the parts ------------------------------------------------------------------------------------------------------
write_config() { # the wg-quick file of the gateway: peer `one` has a preshared key, `two` has none
  cat >"$W/user/gateway.conf" <<CONF
[Interface]
PrivateKey = $KEY_gateway
ListenPort = 51820
Address = 10.7.0.1/24, fd07::1/64

[Peer]
# one
PublicKey = $PUBLIC_one
PresharedKey = $PRESHARED
AllowedIPs = 10.7.0.2/32, fd07::2/128

[Peer]
# two
PublicKey = $PUBLIC_two
AllowedIPs = 10.7.0.3/32, fd07::3/128
CONF
  chmod 600 "$W/user/gateway.conf"
  chown $ORDINARY "$W/user/gateway.conf"
}

gateway() {
  [ -e "$W/user/gateway.conf" ] || write_config
  gateway_command wireguard "$W/user/gateway.conf" "$@"
}

# Starts a command of slipgate that serves, and waits for the line on --ready-fd. `without_ready_fd=1 gateway_command …`
# leaves that option out, for command lines of other programs; then the caller waits.
gateway_command() {
  rm -f "$W/ready"
  mkfifo "$W/ready"
  exec {ready}<>"$W/ready"
  local words=("$@")
  [ -n "${without_ready_fd:-}" ] || words+=(--ready-fd "$ready")
  XDG_RUNTIME_DIR=$W/user HOME=$W/user ip netns exec "$T-gateway" \
    setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- \
    "$PROGRAM" "${words[@]}" >>"$W/gateway.out" 2>>"$W/gateway.log" </dev/null &
  pid[gateway]=$!
  if [ -z "${without_ready_fd:-}" ]; then
    local line= tries=0
    until read -rt 0.5 line <&"$ready"; do
      kill -0 "${pid[gateway]}" 2>/dev/null || fail "the gateway ended: slipgate $*"
      tries=$((tries + 1))
      [ $tries -lt 40 ] || fail "the gateway does not get ready: slipgate $*"
    done
  fi
  exec {ready}>&-
  [ -n "${without_ready_fd:-}" ] || check_rights
}

check_rights() { # no capability, and no way to get one
  grep -q '^CapEff:[[:space:]]*0*$' "/proc/${pid[gateway]}/status" || fail "the gateway has capabilities"
  grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/${pid[gateway]}/status" || fail "the gateway may get new privileges"
  grep -q "^Uid:[[:space:]]*$ORDINARY[[:space:]]" "/proc/${pid[gateway]}/status" || fail "the gateway is not an ordinary user"
}

# SIGTERM, then the exit code; says what is wrong, returns 1.
end_gateway() {
  local process=${pid[gateway]} status=0 until=$((SECONDS + 8))
  kill -TERM "$process" 2>/dev/null || { echo "the gateway died"; return 1; }
  while kill -0 "$process" 2>/dev/null; do
    [ $SECONDS -lt $until ] || { echo "the gateway does not end on SIGTERM"; return 1; }
    pause
  done
  wait "$process" || status=$?
  unset "pid[gateway]"
  [ $status = 0 ] || { echo "the gateway's exit code is $status"; return 1; }
}
stop_gateway() { end_gateway >"$W/end" || fail "$(cat "$W/end")"; }

servers() {
  background servers in_server python3 "$here/servers.py"
  wait_for 30 grep -q ready "$W/servers.log"
}

name_server() {
  local folder=$W/nsd
  mkdir -p "$folder"
  python3 "$here/dns.py" zones "$folder"
  {
    printf 'server:\n  ip-address: 203.0.113.2\n  username: ""\n  chroot: ""\n  server-count: 1\n  zonesdir: "%s"\n' "$folder"
    printf '  database: ""\n  pidfile: ""\n  zonelistfile: "%s/list"\n  xfrdfile: "%s/xfrd"\n' "$folder" "$folder"
    printf '  refuse-any: no\n  rrl-ratelimit: 0\n  tcp-query-count: 0\n'
    printf '  %s\n' "$@"
    printf 'remote-control:\n  control-enable: no\n'
    printf 'zone:\n  name: %s\n  zonefile: %s\n' example.test example.zone 2.0.192.in-addr.arpa reverse.zone
  } >"$folder/nsd.conf"
  background nsd in_server nsd -d -c "$folder/nsd.conf"
  wait_for 10 in_server dig +tries=1 +time=1 @203.0.113.2 example.test SOA
}

# The client's side: wireguard-go keeps its socket in `wan`, its TUN moves to a namespace that has nothing else.
client() {
  local name=$1 family=${2:-4} host key=KEY_$1 device=$T$1 address
  case $name in one) host=2 ;; two) host=3 ;; *) fail "no peer $name" ;; esac
  local endpoint=198.51.100.1:51820
  [ "$family" = 4 ] || endpoint="[2001:db8:100::1]:51820"
  namespace "$name" 10.7.0.1
  background "$name" in_wan env LOG_LEVEL=verbose wireguard-go -f "$device"
  wait_for 30 test -S "/var/run/wireguard/$device.sock"
  {
    printf '[Interface]\nPrivateKey = %s\n[Peer]\nPublicKey = %s\n' "${!key}" "$PUBLIC_gateway"
    printf 'AllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = %s\n' "${client_endpoint:-$endpoint}"
    [ "$name" != one ] || printf 'PresharedKey = %s\n' "$PRESHARED"
  } >"$W/$name.conf"
  wg setconf "$device" "$W/$name.conf"
  in_wan ip link set "$device" netns "$T-$name"
  for address in "10.7.0.$host/32" "fd07::$host/128"; do
    ip -n "$T-$name" addr add "$address" dev "$device" $(nodad "$address")
  done
  ip -n "$T-$name" link set "$device" mtu 1420 up
  ip -n "$T-$name" route add default dev "$device"
  ip -n "$T-$name" -6 route add default dev "$device"
}

peer() { # name, behaviour of peer.py, arguments...: as that client
  local name=$1
  shift
  in_client "$name" python3 "$peer_tool" "$@"
}

handshake_time() { wg show "$T$1" latest-handshakes | cut -f2; }
resident() { awk '/^VmRSS:/ {print $2}' "/proc/${pid[gateway]}/status"; } # kB

# A process with a pipe to its standard input: `conversation NAME CMD...`, then `say NAME LINE`, `wait_for 5 heard NAME TEXT`.
conversation() {
  local name=$1
  shift
  mkfifo "$W/$name.in"
  "$@" <"$W/$name.in" >"$W/$name.log" 2>&1 &
  pid[$name]=$!
  disown
  exec {stdin}>"$W/$name.in"
  declare -g "stdin_$name=$stdin"
}
say() {
  local to=stdin_$1
  echo "$2" >&"${!to}"
}
heard() { [ "$(grep -c -- "$2" "$W/$1.log")" -ge "${3:-1}" ]; } # name, text, how often
