# A client whose packets come by GUE or FOU; a test sources it after harness.sh.
#
#   gue_client NAME FORM4 FORM6 [LOCAL [REMOTE]]      client `one` or `two` of harness.sh's picture; tests/support/gue_peer.py
#                                   says what the forms are. Then `say NAME COMMAND` and `heard NAME TEXT` are for its process.
#   drops_of REASON                 how many of a reason the gateway counts
gue_client() {
  local name=$1 host device=$T$1 address
  case $name in one) host=2 ;; two) host=3 ;; *) fail "no client $name" ;; esac
  namespace "$name" 10.7.0.1
  conversation "$name" in_wan python3 "$here/gue_peer.py" "$device" "${4:-198.51.100.$host:6080}" "${5:-198.51.100.1:6080}" "$2" "$3"
  wait_for 20 heard "$name" '^up$'
  in_wan ip link set "$device" netns "$T-$name"
  for address in "10.7.0.$host/32" "fd07::$host/128"; do
    ip -n "$T-$name" addr add "$address" dev "$device" $(nodad "$address")
  done
  ip -n "$T-$name" link set "$device" mtu 1420 up
  ip -n "$T-$name" route add default dev "$device"
  ip -n "$T-$name" -6 route add default dev "$device"
}

gateway_status() { XDG_RUNTIME_DIR=$W/user in_gateway "$PROGRAM" status "$@"; }
drops_of() { gateway_status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["drops"].get(sys.argv[1], 0))' "$1"; }
dropped() { [ "$(drops_of "$1")" -ge "$2" ]; } # reason, at least so many
