# A network behind a router behind the gateway, in which every destination has an error of its own; sourced after
# harness.sh.
#
#   one ──── slipgate ──── router ──── far (a path of 1,300 bytes)
#            198.18.0.1    .0.2 .1.1   198.18.1.2
#            2001:db8:18:: :0::1       :0::2 :1::1       :1::2
#
# What answers for 198.18.N.1 and 2001:db8:18:N::1 is in the table of errors.py: N from 10 at the router, N from 20 in
# the gateway's own routing table.
namespace router 127.0.0.1
namespace far 127.0.0.1
link gateway "198.18.0.1/24 2001:db8:18::1/64" router "198.18.0.2/24 2001:db8:18::2/64"
link router "198.18.1.1/24 2001:db8:18:1::1/64" far "198.18.1.2/24 198.18.1.3/24 2001:db8:18:1::2/64"
ip -n "$T-far" addr add 2001:db8:18:1::3/64 dev to-router nodad preferred_lft 0 # never a source by itself
ip -n "$T-router" link set to-far mtu 1300
ip -n "$T-far" link set to-router mtu 1300
in_router() { ip netns exec "$T-router" "$@"; }
in_far() { ip netns exec "$T-far" "$@"; }
for name in router far; do # every probe counts
  ip netns exec "$T-$name" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000 \
    net.ipv4.icmp_msgs_burst=100000
done
in_router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip -n "$T-gateway" route add 198.18.0.0/15 via 198.18.0.2
ip -n "$T-gateway" -6 route add 2001:db8:18::/48 via 2001:db8:18::2
ip -n "$T-far" route add default via 198.18.1.1
ip -n "$T-far" -6 route add default via 2001:db8:18:1::1

ip -n "$T-router" route add blackhole 198.18.17.0/24
ip -n "$T-router" -6 route add blackhole 2001:db8:18:17::/64
for kind in unreachable/20 prohibit/21 blackhole/22 throw/23; do
  ip -n "$T-gateway" route add "${kind%/*}" "198.18.${kind#*/}.0/24"
  ip -n "$T-gateway" -6 route add "${kind%/*}" "2001:db8:18:${kind#*/}::/64"
done
in_router nft -f - <<'RULES'
table inet errors {
  chain forward {
    type filter hook forward priority 0;
    ip daddr 198.18.11.0/24 reject with icmp type host-unreachable
    ip6 daddr 2001:db8:18:11::/64 reject with icmpv6 type addr-unreachable
    ip daddr 198.18.12.0/24 reject with icmp type admin-prohibited
    ip6 daddr 2001:db8:18:12::/64 reject with icmpv6 type admin-prohibited
    ip daddr 198.18.13.0/24 reject with icmp type host-prohibited
    ip6 daddr 2001:db8:18:13::/64 reject with icmpv6 type policy-fail
    ip daddr 198.18.14.0/24 reject with icmp type net-prohibited
    ip6 daddr 2001:db8:18:14::/64 reject with icmpv6 type reject-route
    ip daddr 198.18.15.0/24 reject with icmp type port-unreachable
    ip6 daddr 2001:db8:18:15::/64 reject with icmpv6 type port-unreachable
    ip daddr 198.18.16.0/24 reject with icmp type prot-unreachable
  }
}
RULES
# The rules are asked only about what has a route; unlike routes that refuse they have no limit a second.
for net in 11 12 13 14 15 16; do
  ip -n "$T-router" route add "198.18.$net.0/24" via 198.18.1.2
  ip -n "$T-router" -6 route add "2001:db8:18:$net::/64" via 2001:db8:18:1::2
done
