#!/bin/bash
# --pcap: every inside packet of every thread, both ways, whole, with client, flow and verdict as its comment; tshark
# (where there is one) finds nothing malformed.
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
mkfifo "$W/pipe"
write_config
sed -i 's/^# \(one\|two\)/# Name = \1/' "$W/user/gateway.conf"
gateway --threads 2 --deny 203.0.113.99 --pcap "$W/user/all.pcapng"
[ "$(stat -c %a "$W/user/all.pcapng")" = 600 ] || fail "the file's mode"
client one
client two
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
wait_for 5 in_client two ping -n -c 1 -W 1 10.7.0.1
[ "$(in_client one curl -sS --max-time 10 http://203.0.113.2:8080/bytes/500000 | wc -c)" = 500000 ] || fail "curl"
expect_status 7 in_client one curl -sS --max-time 5 http://203.0.113.99/
expect_status 7 in_client one curl -sS --max-time 5 http://203.0.113.2:9/
in_client two ping -n -c 2 -i 0.2 -W 5 10.7.0.2 >/dev/null || fail "from client to client"
in_client two ping -n -c 1 -W 5 -s 4000 203.0.113.2 >/dev/null || fail "in fragments"
stop_gateway

packets() { python3 "$here/pcapng.py" "$W/user/all.pcapng" >"$W/packets.txt" || fail "$(cat "$W/packets.txt")"; }
packets
seen() { # pattern, at least so many times
  [ "$(grep -cE -- "$1" "$W/packets.txt")" -ge "$2" ] || { grep -v ":8080;" "$W/packets.txt" | head -50; fail "not $2 times: $1"; }
}
seen "^in [0-9]+ client: one; flow: tcp 10.7.0.2:[0-9]+ > 203.0.113.2:8080; verdict: stack$" 3
seen "^out [0-9]+ flow: tcp 10.7.0.2:[0-9]+ > 203.0.113.2:8080; verdict: sent$" 300
seen "^out [0-9]+ flow: tcp 10.7.0.2:[0-9]+ > 203.0.113.99:80; verdict: refused, denied_by_policy$" 1
seen "^out [0-9]+ flow: tcp 10.7.0.2:[0-9]+ > 203.0.113.2:9; verdict: refused, connection_refused$" 1
seen "^in [0-9]+ client: two; flow: icmp 10.7.0.3:[0-9]+ > 10.7.0.2:0; verdict: forwarded$" 2
seen "^in [0-9]+ client: one; flow: icmp 10.7.0.2:[0-9]+ > 10.7.0.3:0; verdict: forwarded$" 2
seen "^in [0-9]+ client: two; flow: icmp 10.7.0.3:0 > 203.0.113.2:0; verdict: stack$" 2
if command -v tshark >/dev/null; then
  cp "$W/user/all.pcapng" "$W/all.pcapng"
  tshark -r "$W/all.pcapng" -Y '_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0' -o ip.check_checksum:TRUE \
    -o tcp.check_checksum:TRUE -o tcp.desegment_tcp_streams:FALSE >"$W/malformed.txt" 2>"$W/tshark.log" || fail "tshark: $(cat "$W/tshark.log")"
  [ ! -s "$W/malformed.txt" ] || fail "tshark: $(head -5 "$W/malformed.txt")"
  [ "$(tshark -r "$W/all.pcapng" -Y 'frame.comment contains "denied_by_policy" && tcp.flags.reset == 1' 2>/dev/null | wc -l)" -ge 1 ] || fail "the comment in tshark"
fi

# to a pipe that is read as it comes; a file that cannot be made is said
background reader in_gateway cat "$W/pipe"
chown $ORDINARY "$W/pipe"
gateway --pcap "$W/pipe"
wait_for 10 grep -qa "inside packets" "$W/reader.log" # the header, without waiting for the first packet
stop_gateway
# a reader that takes nothing holds nobody up, at the end neither
mkfifo "$W/full"
chown $ORDINARY "$W/full"
exec {unread}<>"$W/full"
gateway --pcap "$W/full"
in_client one ping -n -q -f -c 3000 -W 1 10.7.0.1 >/dev/null || fail "the ping"
stop_gateway
grep -q "nobody reads it" "$W/gateway.log" || fail "that nobody read it was not said"
exec {unread}>&-
expect_status 1 as_user "$PROGRAM" wireguard "$W/user/gateway.conf" --pcap /nowhere/x.pcapng
