#!/bin/bash
# Datagrams leave by a SOCKS5 proxy's UDP ASSOCIATE: one association for each socket of the client, whatever its
# destinations; when the proxy goes it ends, and the next datagram asks the new one.
#
#   one ──── slipgate --egress socks5://… ──── danted on 203.0.113.2 ──┬─ 203.0.113.2:7010
#                                                                      └─ 203.0.113.2:7011   tell the address that they see
. "$(dirname "$0")/../support/harness.sh"
servers
cat >"$W/danted.conf" <<CONF
logoutput: stderr
internal: 203.0.113.2 port = 1080
external: 203.0.113.2
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect udpassociate udpreply }
CONF
danted() {
  background proxy ip netns exec "$T-server" setsid danted -f "$W/danted.conf" -p "$W/danted.pid"
  wait_for 10 in_server curl -sS -m 2 -x socks5://203.0.113.2:1080 http://203.0.113.2:8080/hello
}
danted
gateway --egress socks5://203.0.113.2:1080
client one

expect "203.0.113.2" peer one udp-ask 203.0.113.2 7011
peer one udp-mapping 203.0.113.2
peer one udp-echo 203.0.113.2 0 1 1200 8000

flows() { XDG_RUNTIME_DIR=$W/user in_gateway "$PROGRAM" flows; }
conversation talk in_client one python3 -c '
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
for line in sys.stdin:
    sock.sendto(b"?", ("203.0.113.2", 7011))
    try:
        print("seen as", sock.recv(100).decode(), flush=True)
    except OSError as error:
        print(error, flush=True)'
say talk ask
wait_for 5 heard talk "seen as 203.0.113.2"
expect "any via socks5://203.0.113.2:1080" flows
kill -KILL -- "-${pid[proxy]}" # with the processes that it has for its sessions
gone() { ! flows | grep -q "any via"; }
wait_for 10 gone
danted
say talk ask
wait_for 5 heard talk "seen as 203.0.113.2" 2
