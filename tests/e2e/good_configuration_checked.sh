#!/bin/bash
# `check` says nothing bad of a good file, whose wg-quick keys without effect are named once; readable key files are warned of.
. "$(dirname "$0")/../support/harness.sh"
write_config
expect_status 0 as_user "$PROGRAM" check "$W/user/gateway.conf"
expect_status 0 "$PROGRAM" check "$here/../../examples/gateway.conf"
sed -i '2iTable = off\nPostUp = true\nSaveConfig = false' "$W/user/gateway.conf"
chmod 644 "$W/user/gateway.conf"
gateway
for key in Table PostUp SaveConfig; do
  [ "$(grep -c "$key" "$W/gateway.log")" = 1 ] || fail "$key is not named once"
done
grep -qiE "gateway.conf.*(mode|permission|readable|0?644)" "$W/gateway.log" || fail "no word about the file's permissions"
