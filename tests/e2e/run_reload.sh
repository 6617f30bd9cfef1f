#!/bin/bash
# `slipgate reload` of a TOML file changes what differs (forwards, rules, DNS, peers) and says what only a restart changes;
# a file with problems changes nothing. A connection that stands, stays.
#
#   one ── slipgate run gateway.toml, edited ──── 203.0.113.2, 203.0.113.1 (the host itself)
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
asks() { XDG_RUNTIME_DIR=$W/user HOME=$W/user as_user "$PROGRAM" "$@"; }
write_config
file() { # its lines at the top, of the link
  printf '%s\n[[wireguard]]\nconfig = "gateway.conf"\n%s\n' "$1" "$2" >"$W/user/gateway.toml"
}
file 'remote_forward = ["8000:203.0.113.2:8080", "8001:203.0.113.2:8080"]' ''
gateway_command run "$W/user/gateway.toml"
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
get() { in_client one curl -sS --max-time 5 "http://$1/hello"; }
expect hello get 10.7.0.1:8000
expect hello get 10.7.0.1:8001
conversation stands in_client one python3 -c '
import socket, sys
connection = socket.create_connection(("203.0.113.2", 7000), timeout=10)
for line in sys.stdin:
    connection.sendall(line.encode())
    print(connection.recv(100).decode().strip(), flush=True)'
say stands before
wait_for 10 heard stands before
asks forward add -R 8002:203.0.113.2:8080

# forwards go and come, a rule closes, DNS answers elsewhere
file 'remote_forward = ["8001:203.0.113.2:8080", "8003:203.0.113.2:8080"]
deny = "tcp://203.0.113.2:8080"
dns = "10.7.0.1:5353"' ''
expect reloaded asks reload gateway
expect_status 7 get 10.7.0.1:8000
for port in 8001 8002 8003; do expect hello get 10.7.0.1:$port; done
expect_status 7 get 203.0.113.2:8080
expect 203.0.113.2 in_client one dig +short +tries=1 +time=3 -p 5353 @10.7.0.1 web.test A
expect_status 9 in_client one dig +short +tries=1 +time=1 -p 53 @10.7.0.1 web.test A
say stands after
wait_for 10 heard stands after

# what only a restart changes is said, and not done
file 'remote_forward = "8001:203.0.113.2:8080"
max_flows = 1000' 'mtu = 1300'
asks reload gateway >"$W/reload.log"
for what in max_flows MTU; do
  grep -q "$what changes only with a restart" "$W/reload.log" || fail "no word of $what: $(cat "$W/reload.log")"
done
expect hello get 203.0.113.2:8080
expect_status 7 get 10.7.0.1:8003

# a file with problems changes nothing; SIGHUP reads it, too
file 'remote_forward = "8001:203.0.113.2:8080"
colour = "blue"' ''
expect_status 1 asks reload gateway
grep -q "gateway.toml:2: colour: unknown key" "$W/status.log" || fail "what is wrong: $(cat "$W/status.log")"
expect hello get 10.7.0.1:8001
file '' ''
kill -HUP "${pid[gateway]}"
gone() { ! get 10.7.0.1:8001; }
wait_for 5 gone

# a peer of the file that it names goes
sed -i '/^# one/,/^AllowedIPs/d' "$W/user/gateway.conf"
sed -i '0,/^\[Peer\]$/{/^\[Peer\]$/d}' "$W/user/gateway.conf"
asks reload gateway
expect_status 1 in_client one ping -n -c 2 -i 0.2 -W 1 10.7.0.1

# a file that was not named at start: the sandbox cannot open it, and that is said
cp -p "$W/user/gateway.conf" "$W/user/other.conf"
sed -i 's/gateway.conf/other.conf/' "$W/user/gateway.toml"
expect_status 1 asks reload gateway
grep -q "other.conf: cannot open it: the sandbox knows only the files that were named at start" "$W/status.log" ||
  fail "what is wrong: $(cat "$W/status.log")"
