#!/bin/bash
# -R tcppp, tcppp2: the host's service is told by a PROXY header who the client is and where it connected to; what the
# client says comes behind it.
#
#   one ──── slipgate 10.7.0.1, fd07::1 -R ──── services behind a proxy on 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
background service in_server python3 "$peer_tool" accept-proxied 203.0.113.2 9000
background service6 in_server python3 "$peer_tool" accept-proxied 2001:db8:203::2 9000
for name in service service6; do wait_for 30 grep -q listening "$W/$name.log"; done
gateway -R tcppp://10.7.0.1:8001:203.0.113.2:9000 -R tcppp2://10.7.0.1:8002:203.0.113.2:9000 \
  -R "tcppp2://[fd07::1]:8002:203.0.113.2:9000" -R "tcppp://[fd07::1]:8001:[2001:db8:203::2]:9000"
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

said() { # address and port to connect to, from which port
  in_client one python3 -c '
import socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10, ("", int(sys.argv[3])))
sock.sendall(b"word")
sock.shutdown(socket.SHUT_WR)
print(sock.makefile().read())' "$@"
}
expect word said 10.7.0.1 8001 40001
expect word said 10.7.0.1 8002 40002
expect word said fd07::1 8002 40003
expect word said fd07::1 8001 40004
expect "version 1 PROXY TCP4 10.7.0.2 10.7.0.1 40001 8001" cat "$W/service.log"
expect "version 2 17 10.7.0.2 10.7.0.1 40002 8002" cat "$W/service.log"
expect "version 2 33 fd07::2 fd07::1 40003 8002" cat "$W/service.log"
expect "version 1 PROXY TCP6 fd07::2 fd07::1 40004 8001" cat "$W/service6.log"
