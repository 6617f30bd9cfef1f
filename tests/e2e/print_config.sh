#!/bin/bash
# `--print-config` prints what `run` serves alike, and no secret; what it prints of that is the same once more.
#
#   one ──── slipgate wireguard gateway.conf …, then slipgate run of what it printed ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
write_config
words=(wireguard gateway.conf -R 8000:203.0.113.2:8080 --deny tcp://203.0.113.2:8080 --mtu 1300 --enable-host
  --egress 'tcp://192.0.2.9=socks5://user:sekrit@192.0.2.1:1080' --name same)
prints() { (cd "$W/user" && as_user "$PROGRAM" "$@" --print-config); }
prints "${words[@]}" >"$W/user/same.toml"
for secret in "$KEY_gateway" "$PRESHARED" sekrit; do
  ! grep -qF -- "$secret" "$W/user/same.toml" || fail "a secret is printed: $(cat "$W/user/same.toml")"
done
for line in 'name = "same"' 'enable_host = true' 'mtu = 1300' "config = \"$W/user/gateway.conf\"" '\[\[wireguard\]\]'; do
  grep -q "^$line$" "$W/user/same.toml" || fail "no $line in: $(cat "$W/user/same.toml")"
done
expect_status 0 as_user "$PROGRAM" check "$W/user/same.toml"
prints run "$W/user/same.toml" | grep -v '^#' >"$W/again"
grep -v '^#' "$W/user/same.toml" | diff - "$W/again" || fail "printed again it is another"

gateway_command run "$W/user/same.toml"
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
expect hello in_client one curl -sS -m 5 http://10.7.0.1:8000/hello
expect_status 7 in_client one curl -sS -m 5 http://203.0.113.2:8080/hello
stop_gateway

# a key that was given itself is not printed: what would be right is
prints wireguard -k "$KEY_gateway" -K "$PUBLIC_one" -b 198.51.100.1:51820 >"$W/user/flags.toml"
! grep -qF "$KEY_gateway" "$W/user/flags.toml" || fail "the private key is printed"
grep -q "private_key_file" "$W/user/flags.toml" || fail "no word of the key's file"
prints gue -b 198.51.100.1:6080 >"$W/user/gue.toml"
expect "1 link" as_user "$PROGRAM" check "$W/user/gue.toml"
expect "# congestion: " "$PROGRAM" --print-config
