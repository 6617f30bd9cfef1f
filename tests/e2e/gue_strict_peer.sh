#!/bin/bash
# With --peer-endpoint nobody else is taken for the peer unless --accept says so; without it the peer may move, and what is
# no packet moves nothing.
#
#   198.51.100.2:6080 ─┬── slipgate gue -p 198.51.100.2:6080 [--accept …]
#   .2:6099, .3:6080 ──┘
. "$(dirname "$0")/../support/harness.sh"
. "$here/gue.sh"
servers
packet=4500001c000000004001000000000000000000000800f7ff00000000 # a bad checksum: counted, if it gets that far
gue_client one header header

for row in "endpoint 2 0" "address 1 1" "anyone 0 2"; do
  read -r accept strangers taken <<<"$row"
  gateway_command gue -b 198.51.100.1:6080 -p 198.51.100.2:6080 --accept "$accept" --dns 10.7.0.1:53
  for from in 198.51.100.2:6099 198.51.100.3:6080; do
    say one "raw $packet $from"
  done
  [ "$taken" = 0 ] || wait_for 5 dropped bad_checksum "$taken"
  [ "$strangers" = 0 ] || wait_for 5 dropped gue_stranger "$strangers"
  expect "hello from the server" in_client one curl -sS -m 10 http://web.test:8080/hello
  [ "$(drops_of gue_stranger) $(drops_of bad_checksum)" = "$strangers $taken" ] || fail "--accept $accept: $(gateway_status)"
  stop_gateway
done

# Learnt: garbage and empty datagrams of others change nothing; the peer's own packets from elsewhere do.
gateway_command gue -b 198.51.100.1:6080 --dns 10.7.0.1:53
expect "hello from the server" in_client one curl -sS -m 10 http://web.test:8080/hello
for bytes in ff 0004 00040000 2000-0000 1f040000 00048000-45 00060000-45 0104-0000-0000-0000-45; do
  say one "raw $bytes 198.51.100.3:6080"
done
for row in gue_unknown_variant:1 gue_bad_header:2 gue_bad_inner:1 gue_control_message:1 gue_unknown_field:2 gue_unknown_protocol:1; do
  wait_for 5 dropped "${row%:*}" "${row#*:}"
done
expect "GUE peer 198.51.100.2:6080" gateway_status
expect "hello from the server" in_client one curl -sS -m 10 http://web.test:8080/hello
for family in 4 6; do
  say one "bind $family 198.51.100.3:608$family"
  wait_for 5 heard one "done bind $family"
done
expect "hello from the server" in_client one curl -sS -m 10 http://web.test:8080/hello
expect "GUE peer 198.51.100.3:6084" gateway_status
