#include "flow/policy.h"

#include "support/catch.h"

using namespace slipgate;

namespace {

IpAddress ip(const char *text) {
  return *IpAddress::parse(text);
}

FlowKey key_to(const char *destination, uint16_t port = 80, Protocol protocol = Protocol::tcp) {
  IpAddress address = ip(destination);
  return {{address.is_v4() ? ip("10.0.0.2") : ip("fd00::2"), 40000}, {address, port}, protocol, 0};
}

std::vector<PolicyRule> rules(std::string_view text) {
  Result<std::vector<PolicyRule>> parsed = parse_policy_rules(text);
  if (!parsed) FAIL(parsed.error().text);
  return *parsed;
}

Policy with(std::string_view deny, std::string_view allow) {
  PolicyOptions options;
  if (!deny.empty()) options.deny = rules(deny);
  if (!allow.empty()) options.allow = rules(allow);
  return Policy(options);
}

std::string error_of(std::string_view text) {
  Result<std::vector<PolicyRule>> parsed = parse_policy_rules(text);
  return parsed ? "" : parsed.error().text;
}

}  // namespace

TEST_CASE("by default the world is open and what is near is closed") {
  struct Row {
    const char *destination;
    bool allowed;
  };
  const Row kRows[] = {
      {"192.0.2.1", true},
      {"10.0.0.1", true},
      {"192.168.1.1", true},
      {"100.64.0.1", true},
      {"2001:db8::1", true},
      {"fd12::1", true},
      {"127.0.0.1", false},
      {"127.9.9.9", false},
      {"::1", false},
      {"169.254.1.1", false},
      {"169.254.169.254", false},
      {"fe80::1", false},
      {"fd00:ec2::254", false},
      {"fd20:ce::254", false},
      {"100.100.100.200", false},
      {"224.0.0.251", false},
      {"239.255.255.250", false},
      {"ff02::fb", false},
      {"255.255.255.255", false},
      {"0.0.0.0", false},
      {"0.0.0.5", false},
      {"::", false},
      {"128.0.0.1", true},
      {"223.255.255.255", true},
  };
  Policy policy{PolicyOptions{}};
  for (const Row &row : kRows) {
    for (Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::icmp}) {
      INFO(row.destination);
      CHECK(policy.check(key_to(row.destination, 80, protocol)).allowed == row.allowed);
    }
  }
}

TEST_CASE("policy-loopback-closed: loopback only by rule") {
  CHECK_FALSE(Policy(PolicyOptions{.enable_host = true}).check(key_to("127.0.0.1")).allowed);
  CHECK_FALSE(Policy(PolicyOptions{.enable_host = true}).check(key_to("::1")).allowed);
  CHECK(with("", "tcp://127.0.0.1:80").check(key_to("127.0.0.1")).allowed);
  CHECK_FALSE(with("", "tcp://127.0.0.1:80").check(key_to("127.0.0.1", 81)).allowed);
  CHECK_FALSE(with("", "tcp://127.0.0.1:80").check(key_to("127.0.0.1", 80, Protocol::udp)).allowed);
}

TEST_CASE("policy-metadata-closed: link-local addresses are closed and so are clouds' metadata services") {
  Policy policy{PolicyOptions{.enable_host = true}};
  CHECK(policy.check(key_to("169.254.169.254")).why == "link-local address");
  CHECK_FALSE(policy.check(key_to("fe80::a9fe:a9fe")).allowed);
}

TEST_CASE("policy-host-closed: the host's own addresses need enable_host") {
  std::vector<HostAddress> host{{ip("192.168.1.5"), 24}, {ip("2001:db8::5"), 64}};
  Policy closed{PolicyOptions{}}, open{PolicyOptions{.enable_host = true}};
  closed.set_host_addresses(host);
  open.set_host_addresses(host);
  for (const char *own : {"192.168.1.5", "2001:db8::5"}) {
    CHECK(closed.check(key_to(own)).why == "address of the host");
    CHECK(open.check(key_to(own)).allowed);
  }
  CHECK(closed.check(key_to("192.168.1.6")).allowed);
  closed.set_host_addresses({{ip("192.168.1.6"), 24}});
  CHECK(closed.check(key_to("192.168.1.5")).allowed);
  CHECK_FALSE(closed.check(key_to("192.168.1.6")).allowed);
}

TEST_CASE("broadcast addresses of the host's networks are closed") {
  Policy policy{PolicyOptions{.enable_host = true}};
  policy.set_host_addresses({{ip("192.168.1.5"), 24}, {ip("10.1.2.3"), 31}, {ip("10.9.9.9"), 32}});
  CHECK(policy.check(key_to("192.168.1.255")).why == "broadcast address");
  CHECK(policy.check(key_to("192.168.1.254")).allowed);
  CHECK(policy.check(key_to("10.1.2.3")).allowed);
  CHECK(policy.check(key_to("10.9.9.9")).allowed);
}

TEST_CASE("policy-embedded-closed: IPv6 addresses that carry a closed IPv4 address are closed") {
  Policy policy{PolicyOptions{}};
  policy.set_host_addresses({{ip("192.168.1.5"), 24}});
  for (const char *destination : {"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "::127.0.0.1", "::169.254.169.254",
                                  "2002:7f00:1::1", "2002:a9fe:a9fe::", "64:ff9b:1::169.254.169.254",
                                  "::ffff:0:127.0.0.1", "64:ff9b::c0a8:105", "2001:0:1:2:3:4:5601:5601"}) {
    INFO(destination);
    CHECK_FALSE(policy.check(key_to(destination)).allowed);
  }
  CHECK_FALSE(policy.check(key_to("::ffff:127.0.0.1")).allowed);
  CHECK(policy.check(key_to("64:ff9b::192.0.2.1")).allowed);
  CHECK(policy.check(key_to("2002:c000:201::1")).allowed);
}

TEST_CASE("deny rules reach what is carried inside and allow rules do not") {
  CHECK_FALSE(with("10.0.0.0/8", "").check(key_to("64:ff9b::10.1.2.3")).allowed);
  CHECK_FALSE(with("", "127.0.0.1").check(key_to("64:ff9b::127.0.0.1")).allowed);
}

TEST_CASE("deny comes before allow and allow before the defaults") {
  Policy policy = with("tcp://10.0.0.0/8:22", "10.1.0.0/16,169.254.169.254");
  CHECK_FALSE(policy.check(key_to("10.1.0.1", 22)).allowed);
  CHECK(policy.check(key_to("10.1.0.1", 23)).allowed);
  CHECK(policy.check(key_to("10.1.0.1", 22, Protocol::udp)).allowed);
  CHECK(policy.check(key_to("169.254.169.254", 80)).allowed);
}

TEST_CASE("a closed policy opens by rule alone") {
  PolicyOptions options;
  options.closed = true;
  options.allow = rules("udp://192.0.2.0/24:53-54");
  Policy policy(options);
  CHECK(policy.check(key_to("192.0.2.7", 54, Protocol::udp)).allowed);
  CHECK_FALSE(policy.check(key_to("192.0.2.7", 55, Protocol::udp)).allowed);
  CHECK_FALSE(policy.check(key_to("192.0.2.7", 53)).allowed);
}

TEST_CASE("icmp rules are for both families and a rule with ports is not for echo") {
  Policy policy = with("icmp://0.0.0.0/0,icmp://[::/0],192.0.2.9:1-65535", "");
  CHECK_FALSE(policy.check(key_to("192.0.2.1", 0, Protocol::icmp)).allowed);
  CHECK_FALSE(policy.check(key_to("2001:db8::1", 0, Protocol::icmpv6)).allowed);
  CHECK(policy.check(key_to("192.0.2.1", 80)).allowed);
  CHECK_FALSE(policy.check(key_to("192.0.2.9", 80)).allowed);
  CHECK(with("192.0.2.9:1-65535", "").check(key_to("192.0.2.9", 0, Protocol::icmp)).allowed);
}

TEST_CASE("names match what they were resolved to") {
  Policy policy = with("tcp://bad.example:80", "host.example");
  CHECK(policy.names() == std::vector<std::string>{"bad.example", "host.example"});
  CHECK(policy.check(key_to("192.0.2.1")).allowed);
  policy.set_resolved("bad.example", {ip("192.0.2.1"), ip("2001:db8::1")});
  policy.set_resolved("host.example", {ip("127.0.0.1")});
  CHECK_FALSE(policy.check(key_to("192.0.2.1")).allowed);
  CHECK_FALSE(policy.check(key_to("2001:db8::1")).allowed);
  CHECK(policy.check(key_to("192.0.2.1", 81)).allowed);
  CHECK(policy.check(key_to("127.0.0.1")).allowed);
  policy.set_resolved("bad.example", {});
  CHECK(policy.check(key_to("192.0.2.1")).allowed);
}

TEST_CASE("rules are parsed as the contract writes them") {
  std::vector<PolicyRule> list = rules(
      "tcp://10.0.0.0/8:80, "
      "udp://[2001:db8::/32]:53-60,icmp://192.0.2.1,2001:db8::1,www.example.com:443,[::1]/128:0-0");
  REQUIRE(list.size() == 6);
  CHECK(list[0].protocol == Protocol::tcp);
  CHECK(list[0].prefix == *IpPrefix::parse("10.0.0.0/8"));
  CHECK(list[0].port_low == 80);
  CHECK(list[0].port_high == 80);
  CHECK(list[1].protocol == Protocol::udp);
  CHECK(list[1].prefix == *IpPrefix::parse("2001:db8::/32"));
  CHECK(list[1].port_low == 53);
  CHECK(list[1].port_high == 60);
  CHECK(list[2].protocol == Protocol::icmp);
  CHECK(list[2].port_high == 65535);
  CHECK_FALSE(list[3].protocol);
  CHECK(list[3].prefix == *IpPrefix::parse("2001:db8::1"));
  CHECK(list[4].name == "www.example.com");
  CHECK(list[4].port_low == 443);
  CHECK(list[5].prefix == *IpPrefix::parse("::1"));
  CHECK(list[5].port_low == 0);
  CHECK(list[5].port_high == 65535);
  CHECK((*parse_policy_rules("10.0.0.1", Protocol::tcp))[0].protocol == Protocol::tcp);
  CHECK((*parse_policy_rules("udp://10.0.0.1", Protocol::tcp))[0].protocol == Protocol::udp);
}

TEST_CASE("errors name the value and what would be right") {
  for (const char *text : {"",
                           "tcp://",
                           "sctp://10.0.0.1",
                           "10.0.0.300",
                           "10.0.0.0/33",
                           "10.0.0.1:",
                           "10.0.0.1:99999",
                           "10.0.0.1:5-",
                           "10.0.0.1:5-4",
                           "10.0.0.1:-5",
                           "[2001:db8::1:80",
                           "[10.0.0.1]:80",
                           "icmp://10.0.0.1:80",
                           "a b",
                           "10.0.0.1,,10.0.0.2",
                           "10.0.0.1,",
                           "-x-.",
                           ".example",
                           "1.2.3.4.5",
                           "[::1]x:80",
                           "tcp://www.example.com/24"}) {
    INFO(text);
    std::string error = error_of(text);
    CHECK_FALSE(error.empty());
    CHECK(error.find("expected [tcp|udp|icmp]://") != std::string::npos);
  }
  CHECK(error_of("10.0.0.1,tcp://10.0.0.300:80").find("\"10.0.0.300\"") != std::string::npos);
}
