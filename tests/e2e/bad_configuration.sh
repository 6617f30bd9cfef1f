#!/bin/bash
# A configuration with problems: all of them with file and line, exit 2, nothing started; `check` says the same.
. "$(dirname "$0")/../support/harness.sh"
cat >"$W/user/bad.conf" <<CONF
[Interface]
PrivateKey = not-a-key
ListenPort = 99999
Address = 10.7.0.1/24
Colour = blue

[Peer]
PublicKey = $PUBLIC_one
AllowedIPs = 10.7.0.2/32

[Peer]
PublicKey = $PUBLIC_two
AllowedIPs = 10.7.0.2/32, 10.7.0.300/32
CONF
chmod 644 "$W/user/bad.conf"

for command in wireguard check; do
  status=0
  output=$(in_gateway setpriv --reuid=$ORDINARY --regid=$ORDINARY --clear-groups "$PROGRAM" $command "$W/user/bad.conf" 2>&1) || status=$?
  [ $status = 2 ] || fail "$command: exit code $status: $output"
  for line in 2 3 5 13; do
    grep -q "bad.conf:$line" <<<"$output" || fail "$command does not name line $line: $output"
  done
  grep -q "not-a-key" <<<"$output" && fail "a private key is printed: $output"
  for value in 99999 Colour 10.7.0.2/32 10.7.0.300; do
    grep -q "$value" <<<"$output" || fail "$command does not name $value: $output"
  done
done
expect_status 2 "$PROGRAM" wireguard --no-such-option
expect_status 2 "$PROGRAM" no-such-command
expect_status 0 "$PROGRAM" --help
expect_status 0 "$PROGRAM" wireguard --help
expect_status 0 "$PROGRAM" --version
