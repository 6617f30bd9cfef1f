#!/bin/bash
# --rate: a peer's streams and datagrams keep to it both ways, another's do not; it changes while transfers stand.
# serial: measures time
#
#   one, two ──── slipgate --rate one=800k ──── web, a reader, echo at 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
write_config
sed -i '/^\[Peer\]$/{N;s/\(.*\)\n\(# .*\)/\2\n\1/}' "$W/user/gateway.conf" # a name stands above its section
gateway --name run --rate one=up:800k --rate "10.7.0.2=down:800k/s"
client one
client two
asks() { XDG_RUNTIME_DIR=$W/user HOME=$W/user as_user "$PROGRAM" "$@"; }
down() { in_client "$1" curl -sS -o /dev/null -w '%{time_total}' "http://203.0.113.2:8080/bytes/$2"; }
up() { # until the server has read it all
  in_client "$1" python3 -c '
import socket, sys, time
start = time.monotonic()
connection = socket.create_connection(("203.0.113.2", 7006), timeout=60)
connection.sendall(bytes(int(sys.argv[1])))
connection.shutdown(socket.SHUT_WR)
connection.recv(1)
print(time.monotonic() - start)' "$2"
}
took() { # least, most, seconds
  python3 -c 'import sys; sys.exit(not float(sys.argv[1]) <= float(sys.argv[3]) <= float(sys.argv[2]))' "$@" || fail "$3 s, not $1 to $2"
}
expect "at most 800k/s up, at most 800k/s down" asks status

# 1.6 MB are two seconds, less what may go at once
took 1.6 3.5 "$(down one 1600000)"
took 1.6 3.5 "$(up one 1600000)"
took 0 1.5 "$(down two 1600000)"
took 0 1.5 "$(up two 1600000)"

# datagrams: four times the rate for two seconds; a stream beside them gets its share
background datagrams in_client one python3 -c '
import socket, time
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.connect(("203.0.113.2", 7000))
port.setblocking(False)
start, sent, came = time.monotonic(), 0, 0
while (now := time.monotonic()) < start + 2.5:
    while now < start + 2 and sent < (now - start) * 3200:
        port.send(bytes(1000))
        sent += 1
    try:
        came += len(port.recv(2000))
    except BlockingIOError:
        time.sleep(0.001)
print("came", came, flush=True)'
took 0 2.5 "$(up one 400000)"
wait_for 10 grep -q came "$W/datagrams.log"
came=$(sed -n 's/^came //p' "$W/datagrams.log")
[ "$came" -gt 300000 ] && [ "$came" -lt 2200000 ] || fail "$came bytes of datagrams came back in two seconds"
expect rate_of_client asks status

# while a transfer stands: 40 MB would take 50 s
background standing in_client one curl -sS -o /dev/null -w 'done %{size_download}' http://203.0.113.2:8080/bytes/40000000
standing() { asks flows | grep -q "^one .*203.0.113.2:8080"; }
wait_for 10 standing
asks rate one=down:none
wait_for 15 grep -q "done 40000000" "$W/standing.log"
! asks status | grep "at most.*down" || fail "the rate is still told"
asks reload
took 1.6 3.5 "$(down one 1600000)"

expect_status 2 asks rate one=fast
expect_status 2 asks rate one
expect_status 1 asks rate nobody=1M
grep -q "no peer nobody" "$W/status.log" || fail "why not: $(cat "$W/status.log")"
expect_status 2 "$PROGRAM" wireguard "$W/user/gateway.conf" --rate onn=1M
grep -q "no peer has this name; did you mean one" "$W/status.log" || fail "not helpful: $(cat "$W/status.log")"
