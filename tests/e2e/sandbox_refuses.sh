#!/bin/bash
# What an intruder would do in a thread that serves packets is refused, the log names it, and the gateway goes on. The
# same without the sandbox, as far as it is harmless, succeeds.
#
#   curl in one ──── slipgate, with an intruder ──── web on 203.0.113.2
# not sanitized: the sandbox is off in such builds
. "$(dirname "$0")/../support/harness.sh"
[ "$(uname -m)" = x86_64 ] || skip "the intruder knows the calls of x86-64"
intruded=1 # the harness fails a test whose gateway had a call refused
readable=$W/user/readable made=$W/user/made
touch "$readable" && chown $ORDINARY "$readable"

open=257,-100 socket=41
harmless=("$open,$readable,0" "$open,$made,0x241,0o600" "83,$W/user/folder,0o700" "$socket,40,1,0" "$socket,16,3,12"
  "$socket,10,5,132" "62,0,0" "9,0,4096,7,0x22,-1,0" "157,4") # mkdir, kill, mmap, prctl
deadly=("$open,/etc/shadow,0" "$open,/proc/self/mem,2" "87,$readable" "57" "58" "56,0x11" "59,/bin/true,0,0" "101,0"
  "$socket,17,3,0" "$socket,38,5,0" "272,0x10000000" "308,0,0" "165,none,/,none,0,0" "321,0" "425,8,0" "435,0,88" "302,0,7,x,0") # unlink,
# fork, vfork, clone, execve, ptrace, AF_PACKET, AF_ALG, unshare, setns, mount, bpf, io_uring_setup, clone3, prlimit
intrude() { python3 "$here/intruder.py" "$(ls "/proc/${pid[gateway]}/task" | sed -n 2p)" "$@" >"$W/calls"; }
serves() { expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.2:8080/hello; }

servers
client one
gateway --threads 1
serves
intrude "${harmless[@]}" "${deadly[@]}"
allowed=$(paste -d ' ' <(printf '%s\n' "${harmless[@]}" "${deadly[@]}") "$W/calls" | grep -vE ' (EPERM|EACCES|ENOSYS)$' || true)
[ -z "$allowed" ] || fail "not refused: $allowed"
[ "$(wc -l <"$W/calls")" = $((${#harmless[@]} + ${#deadly[@]})) ] || fail "not every call came back"
[ -e "$readable" ] && [ ! -e "$made" ] && [ ! -e "$W/user/folder" ] || fail "files were changed"
for call in socket kill mmap prctl prlimit64 fork vfork clone execve ptrace unshare setns mount bpf io_uring_setup; do
  wait_for 5 grep -q "the system call $call was refused" "$W/gateway.log"
done
serves
status() { as_user env XDG_RUNTIME_DIR="$W/user" "$PROGRAM" status; }
expect "system calls were refused" status
stop_gateway

gateway --threads 1 --sandbox off
intrude "${harmless[@]}"
refused=$(grep -E '^(EPERM|EACCES|ENOSYS)$' "$W/calls" || true)
[ -z "$refused" ] || fail "it is refused without the sandbox, too: $(paste "$W/calls" <(printf '%s\n' "${harmless[@]}"))"
expect "sandbox: off (--sandbox off)" status
