#!/bin/bash
# `slipgate forward add|list|remove`: forwards come and go while the gateway runs; a connection that stands, stays.
#
#   wan ── TCP 9001, UDP 9002 of the gateway ── slipgate ── one (10.7.0.2)
#   one ── TCP 8000, UDP 8007 of 10.7.0.1 ───── slipgate ── web, echo on 203.0.113.2
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
gateway --name run -L 198.51.100.1:9000:10.7.0.2:9000
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
asks() { XDG_RUNTIME_DIR=$W/user HOME=$W/user as_user "$PROGRAM" "$@"; }
background inside in_client one python3 -c '
import socket, threading
def udp():
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.bind(("10.7.0.2", 9002))
    print("ready", flush=True)
    while True:
        data, peer = port.recvfrom(2000)
        port.sendto(data.upper(), peer)
threading.Thread(target=udp, daemon=True).start()
def serve(connection):
    while data := connection.recv(2000):
        connection.sendall(data.upper())
listener = socket.create_server(("10.7.0.2", 9001))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()'
wait_for 10 grep -q ready "$W/inside.log"
talk='
import socket, sys
connection = socket.create_connection(("198.51.100.1", 9001), timeout=5)
for line in sys.stdin:
    connection.sendall(line.encode())
    print(connection.recv(100).decode().strip(), flush=True)'

# host to inside, TCP
expect "-L 198.51.100.1:9000:10.7.0.2:9000" asks forward list
expect_status 1 in_wan python3 -c "$talk"
expect "host 198.51.100.1:9001 -> inside 10.7.0.2:9001" asks forward add -L 198.51.100.1:9001:10.7.0.2:9001
conversation stands in_wan python3 -c "$talk"
say stands hello
wait_for 10 heard stands HELLO
# what cannot be is said, and leaves nothing behind
expect_status 1 asks forward add -L 198.51.100.1:9001:10.7.0.2:9001
grep -q "Address already in use" "$W/status.log" || fail "why it could not be: $(cat "$W/status.log")"
expect_status 2 asks forward add -L nonsense:1:2:3:4
expect_status 2 asks forward add
expect_status 1 asks forward remove 77
[ "$(asks forward list | wc -l)" = 2 ] || fail "the list: $(asks forward list)"
# it goes; the connection stays
expect removed asks forward remove 198.51.100.1:9001:10.7.0.2:9001
expect_status 1 in_wan python3 -c "$talk"
say stands again
wait_for 10 heard stands AGAIN

# host to inside, UDP
udp() { # namespace's command, address, port
  "${@:3}" python3 -c '
import socket, sys
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.settimeout(0.5)
port.connect((sys.argv[1], int(sys.argv[2])))
port.send(b"word")
print(port.recv(100).decode())' "$1" "$2"
}
asks forward add -u 198.51.100.1:9002,,10.7.0.2:9002
expect WORD udp 198.51.100.1 9002 in_wan
asks forward remove 1 # its slot was free
expect_status 1 udp 198.51.100.1 9002 in_wan

# inside to host, TCP and UDP
expect_status 7 in_client one curl -sS --max-time 5 http://10.7.0.1:8000/hello
asks forward add -R 8000:203.0.113.2:8080
asks forward add -R udp://8007:203.0.113.2:7000 --json >"$W/added.json"
expect '"direction":"remote"' cat "$W/added.json"
expect hello in_client one curl -sS --max-time 5 http://10.7.0.1:8000/hello
expect word udp 10.7.0.1 8007 in_client one
asks forward remove 8000:203.0.113.2:8080
expect_status 7 in_client one curl -sS --max-time 5 http://10.7.0.1:8000/hello
