#!/bin/bash
# genkey, pubkey and genpsk are those of wg(8).
. "$(dirname "$0")/../support/harness.sh"
key=$("$PROGRAM" genkey)
[ "$("$PROGRAM" pubkey <<<"$key")" = "$(wg pubkey <<<"$key")" ] || fail "another public key than wg's"
[ "$("$PROGRAM" pubkey <<<"$KEY_one")" = "$PUBLIC_one" ] || fail "another public key than wg's"
[ "$("$PROGRAM" genpsk | base64 -d | wc -c)" = 32 ] || fail "genpsk does not print 32 bytes"
[ "$key" != "$("$PROGRAM" genkey)" ] || fail "the same key twice"
