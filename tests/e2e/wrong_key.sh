#!/bin/bash
# A client with an unknown key, or with a wrong preshared key, gets no session; others do not notice.
#
#   one, with two wrong keys in turn ──┬── slipgate
#   two, with the right key ───────────┘
. "$(dirname "$0")/../support/harness.sh"
gateway
client one
client two
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1

wg set "${T}one" private-key <(wg genkey)
expect_status 1 in_client one ping -n -c 2 -i 0.3 -W 1 10.7.0.1
wg set "${T}one" private-key <(echo "$KEY_one") peer "$PUBLIC_gateway" preshared-key <(wg genpsk)
wg set "${T}one" peer "$PUBLIC_gateway" remove
sed "s|^PresharedKey.*|PresharedKey = $(wg genpsk)|" "$W/one.conf" >"$W/wrong.conf"
wg setconf "${T}one" "$W/wrong.conf"
expect_status 1 in_client one ping -n -c 2 -i 0.3 -W 1 10.7.0.1
expect " 0% packet loss" in_client two ping -n -c 2 -i 0.2 -W 2 10.7.0.1
