#!/bin/bash
# -R to Unix sockets, by path and abstract, and to a vsock port of a Firecracker guest; what is not there is refused.
#
#   one ──── slipgate 10.7.0.1 -R ──── a service on the host's Unix sockets; a Firecracker's
. "$(dirname "$0")/../support/harness.sh"
background service in_gateway python3 -c '
import os, socket, sys, threading
def serve(sock, firecracker):
    with sock:
        stream = sock.makefile("rwb")
        if firecracker:
            request = stream.readline()
            print("request", request, flush=True)
            if request != b"CONNECT 52\n":
                return  # as Firecracker does when nobody listens there
            stream.write(b"OK 1073741824\n")
            stream.flush()
        stream.write(stream.read().upper())
def listen(name, firecracker):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen()
    if name[0] != "\0":
        os.chmod(name, 0o777)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], firecracker), daemon=True).start()
folder = sys.argv[1]
for name, firecracker in (folder + "/web:1.sock", False), ("\0slipgate-web", False), (folder + "/fc.sock", True):
    threading.Thread(target=listen, args=(name, firecracker)).start()
print("listening", flush=True)' "$W/user"
wait_for 10 test -S "$W/user/fc.sock"
wait_for 10 test -S "$W/user/web:1.sock"
printf x >"$W/user/stale.sock"
gateway --name sockets -R 8001:unix:"$W/user/web:1.sock" -R 8002:unix:@slipgate-web -R 8003:firecracker:"$W/user/fc.sock":52 \
  -R 8004:firecracker:"$W/user/fc.sock":53 -R 8005:unix:"$W/user/nowhere.sock" -R tcppp://8006:unix:@slipgate-web \
  -R 8007:tipc:18888:17 -R 8008:unix:"$W/user/stale.sock"
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

said() {
  in_client one python3 -c '
import socket, sys
sock = socket.create_connection(("10.7.0.1", int(sys.argv[1])), 10, ("", 40000 + int(sys.argv[1])))
sock.sendall(b"word" * 20000)
sock.shutdown(socket.SHUT_WR)
answer = sock.makefile().read()
print(len(answer), answer[:60])' "$1"
}
for port in 8001 8002 8003; do expect "80000 WORDWORD" said $port; done
expect "PROXY TCP4 10.7.0.2 10.7.0.1 48006 8006" said 8006
for port in 8004 8005 8007 8008; do peer one connect-error 10.7.0.1 $port ECONNREFUSED 3000; done
expect "unix:$W/user/web:1.sock" env XDG_RUNTIME_DIR="$W/user" "$PROGRAM" forward list
expect "unix:@slipgate-web" env XDG_RUNTIME_DIR="$W/user" "$PROGRAM" forward add -R 8009:unix:@slipgate-web
expect "80000 WORDWORD" said 8009

expect_status 2 "$PROGRAM" wireguard "$W/user/gateway.conf" -R udp://8001:unix:/run/x.sock
expect "datagrams cannot go to a stream socket" cat "$W/status.log"
