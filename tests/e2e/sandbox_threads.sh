#!/bin/bash
# Topology: the gateway alone, with everything that has a thread. Each of its threads, and its opener, is in the sandbox.
# not sanitized: the sandbox is off in such builds
. "$(dirname "$0")/../support/harness.sh"
gateway --threads 3 --pcap "$W/user/inside.pcapng" --metrics 127.0.0.1:9100

confined() { # process
  local task
  for task in /proc/"$1"/task/*; do
    grep -q '^Seccomp:[[:space:]]*2$' "$task/status" || fail "$task: no system calls are refused"
    grep -q '^NoNewPrivs:[[:space:]]*1$' "$task/status" || fail "$task: new privileges can be had"
  done
}
[ "$(ls /proc/"${pid[gateway]}"/task | wc -l)" -ge 5 ] || fail "fewer threads than shards, capture and control"
confined "${pid[gateway]}"
opener=$(pgrep -P "${pid[gateway]}")
confined "$opener"
[ "$(ls "/proc/$opener/fd" | wc -l)" = 4 ] || fail "the opener has more open than its socket: $(ls -l "/proc/$opener/fd")"
for process in "${pid[gateway]}" "$opener"; do # not dumpable: what is in /proc is root's
  [ "$(stat -c %u "/proc/$process/environ")" = 0 ] || fail "the memory of $process can be looked at"
done
grep -q '^Max core file size *0 *0 ' "/proc/${pid[gateway]}/limits" || fail "core dumps are possible"

status() { as_user env XDG_RUNTIME_DIR="$W/user" "$PROGRAM" status; }
expect 'sandbox: on' status
expect 'slipgate_sandbox{gateway="gateway",state="on"} 1' in_gateway curl -sS http://127.0.0.1:9100/metrics
expect 'process_resident_memory_bytes{' in_gateway curl -sS http://127.0.0.1:9100/metrics
stop_gateway
wait_for 5 test ! -e "/proc/$opener"
[ ! -e "$W/user/slipgate/gateway.sock" ] || fail "the control socket was left behind"
