#!/bin/bash
# `slipgate quick`: what it prints works unchanged in wg-quick, with curl by address and by name; keys are kept, safely.
#
#   laptop (wan) ── wg-quick up, all traffic ──── slipgate quick ──── 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway_command quick --state "$W/user/state"
cp "$W/gateway.out" "$W/$T.conf"
grep -q '^\[Interface\]' "$W/$T.conf" || fail "no client's file: $(cat "$W/$T.conf")"
[ "$(stat -c %a "$W/user/state")" = 700 ] || fail "the state directory has mode $(stat -c %a "$W/user/state")"
grep -q -- "--allow" "$W/gateway.log" || fail "no line that opens ssh"
grep -q "▄\|▀\|█" "$W/gateway.log" || fail "no QR code"

# On a laptop resolvconf writes the resolver of the DNS line.
mkdir "$W/bin"
printf '#!/bin/sh\n[ "$1" = -a ] && cat >"/etc/resolv.conf" || :\n' >"$W/bin/resolvconf"
chmod 755 "$W/bin/resolvconf"
laptop() { PATH=$W/bin:$PATH in_wan env WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go "$@"; }
laptop wg-quick up "$W/$T.conf" >"$W/wg-quick.log" 2>&1 || { cat "$W/wg-quick.log"; fail "wg-quick up"; }

expect "hello from the server" in_wan curl -sS -m 10 http://203.0.113.2:8080/hello
expect "hello from the server" in_wan curl -sS -m 10 "http://[2001:db8:203::2]:8080/hello"
expect 203.0.113.2 in_wan dig +short +tries=2 +time=3 web.test A
expect "hello from the server" in_wan curl -sS -m 10 http://web.test:8080/hello
in_wan ip -s link show "$T" | grep -q RX || fail "no tunnel"
laptop wg-quick down "$W/$T.conf" >"$W/wg-quick.log" 2>&1 || { cat "$W/wg-quick.log"; fail "wg-quick down"; }

# The next run has the same keys, so the client's file stays good.
stop_gateway
: >"$W/gateway.out"
gateway_command quick --state "$W/user/state"
cmp "$W/gateway.out" "$W/$T.conf" || fail "the second run printed another file"
