#!/bin/bash
# A router behind the client has a link smaller than the tunnel: its "packet too big" makes connections and datagrams
# towards that network fit.
#
#   lan ──── one ──── slipgate ──── 203.0.113.2
#   10.9.0.2  | a path of 1,300 bytes
#   fd09::2
. "$(dirname "$0")/../support/harness.sh"
servers
write_config
sed -i "s|^AllowedIPs = 10.7.0.2/32, |&10.9.0.0/24, fd09::/64, |" "$W/user/gateway.conf"
gateway
client one
namespace lan 127.0.0.1
link one "10.9.0.1/24 fd09::1/64" lan "10.9.0.2/24 fd09::2/64"
in_client one sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip -n "$T-one" route replace 10.9.0.0/24 dev to-lan mtu lock 1300
ip -n "$T-one" -6 route replace fd09::/64 dev to-lan mtu lock 1300
ip -n "$T-lan" route add default via 10.9.0.1 mtu 1420
ip -n "$T-lan" -6 route add default via fd09::1 mtu 1420

for server in 203.0.113.2 2001:db8:203::2; do
  host=$server
  [[ $server != *:* ]] || host="[$server]"
  expect 3000000 in_client lan curl -s --max-time 10 -o /dev/null -w '%{size_download}' "http://$host:8080/bytes/3000000"
  peer lan udp-echo $server 1392 1400 9000
done
# What comes later to the same network fits from the beginning.
too_big() { in_client one nstat -asz IcmpOutDestUnreachs | awk '$1 == "IcmpOutDestUnreachs" {print $2}'; }
before=$(too_big)
[ "$before" -gt 0 ] || fail "no packet was too big"
expect 3000000 in_client lan curl -s --max-time 10 -o /dev/null -w '%{size_download}' http://203.0.113.2:8080/bytes/3000000
[ "$(too_big)" = "$before" ] || fail "$before packets were too big, now $(too_big)"
