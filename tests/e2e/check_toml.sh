#!/bin/bash
# `check` and `run` on TOML files: every problem with file, line, value and what would be right; exit 2, nothing started.
. "$(dirname "$0")/../support/harness.sh"
expect "ok, 2 links, 2 peers" "$PROGRAM" check "$here/../../examples/gateway.toml"
cat >"$W/user/bad.toml" <<TOML
mtu = 1400
tcp_idle_timout = 60
threads = "many"
dns = ["10.7.0.1", "nowhere"]
enable_host = "yes"

[[wireguard]]
private_key = "not-a-key"
mtu = 9
interface = ["a", "b"]

[[wireguard.peer]]
public_key = "abc"
colour = "blue"

[[wireguard]]
config = "missing.conf"

[[gue]]
accept = "everybody"
TOML
chmod 644 "$W/user/bad.toml"
for command in run check; do
  status=0
  output=$(as_user "$PROGRAM" $command "$W/user/bad.toml" 2>&1) || status=$?
  [ $status = 2 ] || fail "$command: exit code $status: $output"
  for line in "1: mtu: unknown key" "2: tcp_idle_timout: unknown key; did you mean tcp_idle_timeout?" "3: threads = many" \
    "4: dns = nowhere" "5: enable_host: give true or false" "8: private_key" "9: mtu = 9: out of range" "10: interface" \
    "13: public_key" "14: .*colour: unknown key" "20: accept = everybody"; do
    grep -q "bad.toml:$line" <<<"$output" || fail "$command does not say \"$line\": $output"
  done
  grep -q "missing.conf: cannot open it" <<<"$output" || fail "$command: the missing file: $output"
  grep -q "not-a-key" <<<"$output" && fail "a private key is printed: $output"
done
printf 'a = [1,\n' >"$W/user/broken.toml"
expect_status 2 as_user "$PROGRAM" check "$W/user/broken.toml"
grep -q "broken.toml:[12]: no TOML" "$W/status.log" || fail "$(cat "$W/status.log")"
printf 'threads = 1\n' >"$W/user/empty.toml"
expect_status 2 as_user "$PROGRAM" run "$W/user/empty.toml"
expect_status 2 as_user "$PROGRAM" run
