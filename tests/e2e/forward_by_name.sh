#!/bin/bash
# Targets of forwards given by name: peers' own names inside, on whichever thread they live, and names of the host's
# network outside, which are followed when they move.
#
#   203.0.113.2 ──── slipgate -L, -t, -u NAME ──── one, two          one ──── slipgate -R NAME ──── 203.0.113.2, then .3
. "$(dirname "$0")/../support/harness.sh"
ip -n "$T-server" addr add 203.0.113.3/24 dev to-gateway
servers
background moving in_server python3 -c '
import socket, struct, sys
name, address = b"\5moves\4test\0", [203, 0, 113, 2]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("203.0.113.2", 5300))
print("ready", flush=True)
while True:
    query, client = sock.recvfrom(512)
    question = query[12:12 + len(name) + 4]
    kind = struct.unpack("!H", question[-4:-2])[0]
    if question.startswith(b"\3now"):  # no question: the address changes
        address[3] = 3
        sock.sendto(query, client)
        continue
    found = kind == 1 and question.startswith(name)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + bytes(address) if found else b""
    sock.sendto(query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(answer), 0, 0) + question + answer, client)'
wait_for 10 grep -q ready "$W/moving.log"
write_config
sed -i '/^\[Peer\]/{N;s/\(.*\)\n\(.*\)/\2\n\1/}' "$W/user/gateway.conf" # the name before the section
gateway --threads 2 --dns-upstream 203.0.113.2:5300 -L 203.0.113.1:8001:one.gateway.internal:8003 \
  -L udp://203.0.113.1:8001:one.gateway.internal:8004 -L udp://203.0.113.1:8002:two.gateway.internal:8004 \
  -u 203.0.113.1:8005,,two.gateway.internal:8004 -t 203.0.113.1:8006,10.7.0.1:0,one.gateway.internal:8003 \
  -R udp://10.7.0.1:8007:moves.test:7011 -R 10.7.0.1:8008:moves.test:8080
client one
client two
for name in one two; do wait_for 5 in_client $name ping -n -c 1 -W 1 10.7.0.1; done

for port in 8001 8006; do
  background listener in_client one python3 "$peer_tool" accept-one 10.7.0.2 8003
  wait_for 30 grep -q listening "$W/listener.log"
  expect "hello" in_server python3 "$peer_tool" ask 203.0.113.1 $port
done
background answer_one in_client one python3 "$peer_tool" answer-udp 10.7.0.2 8004
background answer_two in_client two python3 "$peer_tool" answer-udp 10.7.0.3 8004
for name in one two; do wait_for 30 grep -q listening "$W/answer_$name.log"; done
for port in 8001 8002 8005; do expect "hello" in_server python3 "$peer_tool" udp-ask 203.0.113.1 $port; done

# A flow that stands goes where its name leads, some seconds after that has changed (no sooner than the resolver's least
# validity of an answer).
conversation talk in_client one python3 -c '
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
def answer():
    for attempt in range(5): # a datagram may be lost while the flow moves
        sock.sendto(b"?", ("10.7.0.1", 8007))
        try:
            return sock.recv(100).decode()
        except TimeoutError:
            print("silence", flush=True)
for line in sys.stdin:
    print("answer", answer(), flush=True)'
asked() { grep -c answer "$W/talk.log"; }
ask_until_moved() {
  local before
  before=$(asked)
  say talk ask
  wait_for 8 heard talk answer $((before + 1))
  XDG_RUNTIME_DIR=$W/user in_gateway "$PROGRAM" flows | grep -q "203.0.113.3:7011"
}
say talk ask
wait_for 5 heard talk answer 1
expect "203.0.113.2:7011" env XDG_RUNTIME_DIR="$W/user" ip netns exec "$T-gateway" "$PROGRAM" flows
in_server python3 -c '
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(5)
sock.sendto(bytes(12) + b"\3now\0\0\1\0\1", ("203.0.113.2", 5300))
sock.recv(100)'
wait_for 30 ask_until_moved
