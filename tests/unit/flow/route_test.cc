#include "flow/route.h"

#include "support/catch.h"

using namespace slipgate;

namespace {

IpAddress ip(const char *text) {
  return *IpAddress::parse(text);
}
Endpoint at(const char *text) {
  return *Endpoint::parse(text);
}

FlowKey tcp(const char *to) {
  return {{ip("10.0.0.2"), 40000}, at(to), Protocol::tcp, 0};
}
FlowKey udp(const char *to) {
  return {{ip("10.0.0.2"), 40000}, at(to), Protocol::udp, 0};
}
FlowKey ping(const char *to) {
  IpAddress address = ip(to);
  return {{address.is_v4() ? ip("10.0.0.2") : ip("fd00::2"), 7},
          {address, 0},
          address.is_v4() ? Protocol::icmp : Protocol::icmpv6,
          0};
}

Forward remote(const char *listen, Forward::Transport transport = Forward::Transport::tcp) {
  Forward forward;
  forward.direction = Forward::Direction::remote;
  forward.transport = transport;
  forward.listen = at(listen);
  return forward;
}

const Egress direct{EgressOptions{}};

RouteOptions options() {
  RouteOptions made;
  made.own = {ip("10.0.0.1"), ip("fd00::1")};
  made.dns = {at("10.0.0.1:53"), at("[fd00::1]:53"), at("192.0.2.53:53")};
  made.pingable = {ip("10.0.0.1"), ip("192.0.2.99")};
  Forward local = remote("10.0.0.1:1111");
  local.direction = Forward::Direction::local;
  made.forwards = {local, remote("10.0.0.1:8080"), remote("0.0.0.0:9090", Forward::Transport::udp), remote("[::]:7070"),
                   remote("192.0.2.80:80")};
  return made;
}

}  // namespace

TEST_CASE("each flow has its target") {
  Policy policy{PolicyOptions{}};
  Router router(options(), policy, direct, [](const IpAddress &address, uint32_t client) {
    return (address == ip("10.0.0.2") && client != 1) || address == ip("10.0.0.3");
  });
  struct Row {
    FlowKey key;
    Target target;
  };
  using target::Refused;
  const Row kRows[] = {
      // services of our own
      {udp("10.0.0.1:53"), target::Dns{}},
      {tcp("10.0.0.1:53"), target::Dns{}},
      {udp("[fd00::1]:53"), target::Dns{}},
      {udp("192.0.2.53:53"), target::Dns{}},
      {ping("10.0.0.1"), target::Echo{}},
      {ping("192.0.2.99"), target::Echo{}},
      // -R listeners
      {tcp("10.0.0.1:8080"), target::RemoteForward{1}},
      {udp("10.0.0.1:9090"), target::RemoteForward{2}},
      {tcp("[fd00::1]:7070"), target::RemoteForward{3}},
      {tcp("192.0.2.80:80"), target::RemoteForward{4}},
      {udp("192.0.2.1:9090"), target::HostUdp{at("192.0.2.1:9090")}},
      {tcp("10.0.0.1:7070"), Refused{DropReason::no_service}},
      // the rest of our own addresses
      {tcp("10.0.0.1:1111"), Refused{DropReason::no_service}},
      {udp("10.0.0.1:8080"), Refused{DropReason::no_service}},
      {tcp("10.0.0.1:22"), Refused{DropReason::no_service}},
      {ping("fd00::1"), Refused{DropReason::no_service}},
      // policy
      {tcp("127.0.0.1:22"), Refused{DropReason::denied_by_policy}},
      {udp("169.254.169.254:80"), Refused{DropReason::denied_by_policy}},
      {ping("224.0.0.1"), Refused{DropReason::denied_by_policy}},
      // other clients
      {tcp("10.0.0.3:22"), target::Peer{at("10.0.0.3:22")}},
      {ping("10.0.0.3"), target::Peer{{ip("10.0.0.3"), 0}}},
      // the world
      {tcp("10.0.0.2:22"), target::HostTcp{at("10.0.0.2:22")}},
      {tcp("192.0.2.1:443"), target::HostTcp{at("192.0.2.1:443")}},
      {udp("[2001:db8::1]:443"), target::HostUdp{at("[2001:db8::1]:443")}},
      {ping("2001:db8::1"), target::HostEcho{ip("2001:db8::1")}},
  };
  for (const Row &row : kRows) {
    INFO(row.key.to_string());
    CHECK((router.route(row.key, 1) == row.target));
  }
}

TEST_CASE("own-address-never-dialled: even a policy that allows all does not dial our own inside address") {
  PolicyOptions open;
  open.enable_host = true;
  open.allow = *parse_policy_rules("0.0.0.0/0,::/0");
  Policy policy(open);
  Router router(options(), policy, direct);
  CHECK((router.route(tcp("10.0.0.1:22"), 1) == Target(target::Refused{DropReason::no_service})));
  CHECK((router.route(tcp("127.0.0.1:22"), 1) == Target(target::HostTcp{at("127.0.0.1:22")})));
}

TEST_CASE("deny rules do not close services of our own but other clients") {
  PolicyOptions closed;
  closed.deny = *parse_policy_rules("0.0.0.0/0,::/0");
  Policy policy(closed);
  Router router(options(), policy, direct, [](const IpAddress &, uint32_t) { return true; });
  CHECK((router.route(udp("10.0.0.1:53"), 1) == Target(target::Dns{})));
  CHECK((router.route(tcp("10.0.0.3:22"), 1) == Target(target::Refused{DropReason::denied_by_policy})));
  CHECK(router.verdict(tcp("10.0.0.3:22")).why == "deny rule");
}

TEST_CASE("the world is reached by the way that egress says, and what a proxy does not carry is refused") {
  Policy policy{PolicyOptions{}};
  EgressOptions rules;
  for (const char *rule : {"tcp://192.0.2.0/24=http://p:1", "udp://192.0.2.0/24=http://p:1", "203.0.113.9=direct",
                           "203.0.113.0/24,2001:db8::/32=socks5://q:2"}) {
    rules.push_back(*parse_egress(rule));
  }
  const Egress egress(rules);
  Router router(options(), policy, egress,
                [](const IpAddress &address, uint32_t) { return address == ip("10.0.0.3"); });
  const ProxyPtr http = rules[0].proxy, socks5 = rules[3].proxy;
  struct Row {
    FlowKey key;
    Target target;
  };
  using target::Refused;
  const Row kRows[] = {
      {tcp("192.0.2.1:80"), target::HttpTcp{at("192.0.2.1:80"), http}},
      {udp("192.0.2.1:80"), Refused{DropReason::egress_no_udp}},
      {ping("192.0.2.1"), target::HostEcho{ip("192.0.2.1")}},  // no rule is about it
      {tcp("203.0.113.1:80"), target::Socks5Tcp{at("203.0.113.1:80"), socks5}},
      {udp("203.0.113.1:80"), target::Socks5Udp{at("203.0.113.1:80"), socks5, 4}},
      {tcp("[2001:db8::1]:80"), target::Socks5Tcp{at("[2001:db8::1]:80"), socks5}},
      {ping("203.0.113.1"), Refused{DropReason::egress_no_echo}},
      {tcp("203.0.113.9:80"), target::HostTcp{at("203.0.113.9:80")}},
      {tcp("198.51.100.1:80"), target::HostTcp{at("198.51.100.1:80")}},
      // What does not leave is none of its business.
      {udp("192.0.2.53:53"), target::Dns{}},
      {ping("192.0.2.99"), target::Echo{}},
      {tcp("10.0.0.3:80"), target::Peer{at("10.0.0.3:80")}},
      {tcp("127.0.0.1:80"), Refused{DropReason::denied_by_policy}},
  };
  for (const Row &row : kRows) {
    CAPTURE(row.key.to_string());
    CHECK((router.route(row.key, 1) == row.target));
  }
}
