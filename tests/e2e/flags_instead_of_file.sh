#!/bin/bash
# `slipgate wireguard` with flags alone: keys, bind address, DNS and pingable address.
#
#   one ──── slipgate -f … -K … -b … -D 99.99.99.99:53 -P 99.99.99.99
. "$(dirname "$0")/../support/harness.sh"
servers
PRESHARED=$(printf 'A%.0s' {1..43})=
echo "$KEY_gateway" >"$W/user/key" # with the newline that `wg genkey` writes
chmod 600 "$W/user/key"
chown $ORDINARY "$W/user/key"
gateway_command wireguard -f "$W/user/key" -K "$PUBLIC_one" -b 198.51.100.1:51820 -D 99.99.99.99:53 -P 99.99.99.99 --mtu 1380
client one

expect " 0% packet loss" in_client one ping -n -c 2 -i 0.2 -W 2 99.99.99.99
expect 203.0.113.2 in_client one dig +short +tries=2 +time=3 @99.99.99.99 web.test A
expect "hello from the server" in_client one curl -sS -m 10 http://203.0.113.2:8080/hello
