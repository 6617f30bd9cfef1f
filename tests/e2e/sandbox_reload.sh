#!/bin/bash
# In the sandbox a reload finds a configuration that was replaced by rename, and one that a link leads to elsewhere: by
# the command and by SIGHUP. What is wrong with it is said as ever.
#
#   slipgate wireguard current.conf -> first/gateway.conf, then -> second/gateway.conf
. "$(dirname "$0")/../support/harness.sh"
write_config
mkdir "$W/user/first" "$W/user/second"
mv "$W/user/gateway.conf" "$W/user/first/gateway.conf"
ln -s first/gateway.conf "$W/user/current.conf"
gateway_command wireguard "$W/user/current.conf"
slipgate() { as_user env XDG_RUNTIME_DIR="$W/user" "$PROGRAM" "$@"; }
peers() { slipgate status --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["peers"]))'; }
has() { [ "$(peers)" = "$1" ]; }
with_peers() { # file, number of peers beside the two
  cat "$W/original.conf"
  for ((i = 0; i < $2; i++)); do
    printf '\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.1.%s/32\n' "$(wg genkey | wg pubkey)" "$i"
  done >"$W/more"
  cat "$W/more"
} >"$1"
cp "$W/user/first/gateway.conf" "$W/original.conf"
has 2 || fail "not the two peers"

with_peers "$W/user/first/new" 1
mv "$W/user/first/new" "$W/user/first/gateway.conf" # as editors do: another inode
expect reloaded slipgate reload
has 3 || fail "a file replaced by rename was not seen"

with_peers "$W/user/second/gateway.conf" 2
ln -s second/gateway.conf "$W/user/next"
mv -T "$W/user/next" "$W/user/current.conf"
kill -HUP "${pid[gateway]}"
wait_for 5 has 4

echo nonsense >>"$W/user/second/gateway.conf"
expect_status 1 slipgate reload
expect "current.conf:" cat "$W/status.log"
rm "$W/user/current.conf"
expect_status 1 slipgate reload
expect "No such file" cat "$W/status.log"
has 4 || fail "a bad file changed something"

# Where nobody opens files any more, it is said, and the gateway serves on.
mv -T "$W/user/second/gateway.conf" "$W/user/current.conf"
kill -KILL "$(pgrep -P "${pid[gateway]}")"
expect_status 1 slipgate reload
expect "the process that opens files has gone" cat "$W/status.log"
has 4 || fail "it does not serve any more"
