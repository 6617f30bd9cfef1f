#!/bin/bash
# --metrics: the format is Prometheus', the numbers move with what passes, the page and its data are served, and nobody
# else's page may ask for them.
#
#   curl ── HTTP ── slipgate ──── web on 203.0.113.2
#           one ────────┘
# threads meet: run under ThreadSanitizer, too
. "$(dirname "$0")/../support/harness.sh"
servers
gateway --name "caf\"e" --metrics 127.0.0.1:9100
get() { in_gateway curl -sS --max-time 5 "$@"; }
metrics() { get http://127.0.0.1:9100/metrics >"$W/metrics.txt"; }
value() { metrics; python3 "$here/prometheus.py" "$W/metrics.txt" "$1"; }

expect "ok" get http://127.0.0.1:9100/healthz
[ "$(value slipgate_handshakes_total)" = 0 ] || fail "a handshake of nobody"
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
[ "$(in_client one curl -sS --max-time 10 http://203.0.113.2:8080/bytes/2000000 | wc -c)" = 2000000 ] || fail "curl"
expect_status 7 in_client one curl -sS --max-time 5 http://203.0.113.2:9/ # nobody listens there

expect "series" python3 "$here/prometheus.py" "$W/metrics.txt"
[ "$(value slipgate_handshakes_total)" -ge 1 ] || fail "handshakes"
[ "$(value "slipgate_peer_receive_bytes_total{public_key=\"$PUBLIC_one\"}")" -gt 1000 ] || fail "received from the peer"
[ "$(value "slipgate_peer_transmit_bytes_total{public_key=\"$PUBLIC_one\"}")" -gt 2000000 ] || fail "sent to the peer"
[ "$(value 'slipgate_link_transmit_bytes_total{link="wireguard"}')" -gt 2000000 ] || fail "sent to the link"
[ "$(value 'slipgate_drops_total{reason="connection_refused"}')" = 1 ] || fail "the refused connection"
[ "$(value 'slipgate_flows_opened_total{protocol="tcp"}')" -ge 1 ] || fail "flows"
[ "$(value "slipgate_peer_last_handshake_timestamp_seconds{public_key=\"$PUBLIC_two\"}")" = 0.000 ] || fail "the peer that never came"
last=$(value "slipgate_peer_last_handshake_timestamp_seconds{public_key=\"$PUBLIC_one\"}")
[ $(($(date +%s) - ${last%.*})) -lt 60 ] || fail "the last handshake was at $last"
expect 'gateway="caf\"e"' cat "$W/metrics.txt"
if command -v promtool >/dev/null; then promtool check metrics <"$W/metrics.txt" || fail "promtool"; fi

# the page, its data, and what is refused
expect "<!doctype html>" get http://127.0.0.1:9100/
expect "default-src 'none'" get -I http://localhost:9100/
expect '"flows_total":' get http://127.0.0.1:9100/status.json
get http://127.0.0.1:9100/status.json | python3 -c '
import json, sys
said = json.load(sys.stdin)
assert said["status"]["bytes"]["to_link"] > 2000000, said
assert len(said["status"]["peers"]) == 2, said
assert said["status"]["drops"]["connection_refused"] == 1, said'
code() { get -o /dev/null -w '%{http_code}' "$@"; }
[ "$(code http://127.0.0.1:9100/nothing)" = 404 ] || fail "404"
[ "$(code -X POST -d x http://127.0.0.1:9100/metrics)" = 405 ] || fail "405"
[ "$(code -H 'Host: attacker.example:9100' http://127.0.0.1:9100/status.json)" = 421 ] || fail "421"
# one connection, several requests
[ "$(get -w '%{num_connects} ' http://127.0.0.1:9100/healthz http://127.0.0.1:9100/healthz | tr '\n' ' ')" = "ok 1 ok 0 " ] || fail "keep-alive"

# on a Unix socket, that is ours alone
stop_gateway
gateway --metrics "unix:$W/user/metrics.sock"
[ "$(stat -c %a "$W/user/metrics.sock")" = 600 ] || fail "the socket's mode"
expect "slipgate_build_info" curl -sS --max-time 5 --unix-socket "$W/user/metrics.sock" http://gateway/metrics
