#!/bin/bash
# `slipgate flows` and `top`: both sides of each flow, bytes while they move, the busiest first; top draws on a terminal
# and gives it back.
#
#   slipgate flows, top ── socket ── slipgate ──── TCP 7001, UDP 7, web on 203.0.113.2
#                              one ────┘
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
write_config
sed -i 's/^# \(one\|two\)/# Name = \1/' "$W/user/gateway.conf"
gateway --name flows -L 198.51.100.1:9000:10.7.0.2:9000
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
asks() { XDG_RUNTIME_DIR=$W/user HOME=$W/user as_user "$PROGRAM" "$@"; }

# a transfer that goes on, a mapping, and a connection from outside
background slow in_client one curl -sS --limit-rate 500k --max-time 60 http://203.0.113.2:8080/bytes/60000000 -o /dev/null
background inside in_client one python3 -c '
import socket, time
listener = socket.create_server(("10.7.0.2", 9000))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"x" * 100, ("203.0.113.2", 7))
print("ready", flush=True)
connection, _ = listener.accept()
connection.recv(1)'
wait_for 10 grep -q ready "$W/inside.log"
conversation outside in_wan python3 -c '
import socket, sys
connection = socket.create_connection(("198.51.100.1", 9000))
print("connected", connection.getsockname()[1], flush=True)
sys.stdin.readline()'
wait_for 10 heard outside connected
member() { # protocol and destination, member
  asks flows --json | python3 -c '
import json, sys
flows = [flow for flow in json.load(sys.stdin)["flows"] if flow["protocol"].startswith(sys.argv[1]) and sys.argv[2] in flow["protocol"]]
assert len(flows) == 1, flows
print(flows[0][sys.argv[3]])' "$@"
}
moved() { [ "$(member tcp '> 203.0.113.2:8080' bytes_down)" -gt "$1" ]; }
wait_for 10 moved 1
first=$(member tcp '> 203.0.113.2:8080' bytes_down)
wait_for 10 moved "$first"
[ "$(member tcp '> 203.0.113.2:8080' bytes_up)" -gt 50 ] || fail "the request was not counted"
[ "$(member tcp '> 203.0.113.2:8080' host)" = 203.0.113.2:8080 ] || fail "the host's side"
[ "$(member tcp '> 203.0.113.2:8080' client)" = one ] || fail "the client's name"
[ "$(member tcp '> 203.0.113.2:8080' state)" = established ] || fail "the state"
[ "$(member udp 10.7.0.2 bytes_up)" = 100 ] || fail "the datagram"
[[ $(member udp 10.7.0.2 host) == 0.0.0.0:*" any" ]] || fail "the mapping: $(member udp 10.7.0.2 host)"
port=$(sed -n 's/connected //p' "$W/outside.log")
[ "$(member tcp 10.7.0.2:9000 host)" = "198.51.100.2:$port" ] || fail "who came by the forward: $(member tcp 10.7.0.2:9000 host)"
expect "| 203.0.113.2:8080 established" asks flows flows
say outside bye

# top: the transfer is first, with its rate; on a terminal it goes on until `q`
busiest() {
  asks top --json | python3 -c '
import json, sys
said = json.load(sys.stdin)
first = said["flows"][0]
assert said["flows_total"] == len(said["flows"])
sys.exit("8080" not in first["protocol"] or first["down_per_second"] < 50000)'
}
wait_for 10 busiest
expect "flows " asks top
conversation terminal env XDG_RUNTIME_DIR="$W/user" HOME="$W/user" setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups \
  script -qec "stty rows 40 cols 120; exec $PROGRAM top flows" /dev/null
wait_for 10 heard terminal "203.0.113.2:8080"
wait_for 10 grep -qE "[1-9][0-9.]* kB/s .*one .*203.0.113.2:8080" "$W/terminal.log"
say terminal q
gone() { ! kill -0 "${pid[terminal]}"; }
wait_for 10 gone
grep -q $'\x1b\[?1049l' "$W/terminal.log" || fail "the terminal was not given back"

# what cannot be asked
expect_status 1 asks top nobody
expect_status 2 asks top --nonsense
