#include "flow/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "flow/words.h"

namespace slipgate {
namespace {

bool protocol_matches(const PolicyRule &rule, Protocol protocol) {
  if (!rule.protocol || *rule.protocol == protocol) return true;
  return *rule.protocol == Protocol::icmp && protocol == Protocol::icmpv6;
}

bool address_matches(const PolicyRule &rule, const IpAddress &address) {
  if (rule.name.empty()) return rule.prefix.contains(address);
  return std::find(rule.resolved.begin(), rule.resolved.end(), address) != rule.resolved.end();
}

bool matches(const PolicyRule &rule, const FlowKey &key, const IpAddress &address) {
  if (!protocol_matches(rule, key.protocol) || !address_matches(rule, address)) return false;
  bool has_ports = key.protocol == Protocol::tcp || key.protocol == Protocol::udp;
  if (!has_ports) return rule.port_low == 0 && rule.port_high == 65535;
  return rule.port_low <= key.outside.port && key.outside.port <= rule.port_high;
}

bool any_matches(const std::vector<PolicyRule> &rules, const FlowKey &key, const IpAddress &address) {
  return std::any_of(rules.begin(), rules.end(), [&](const PolicyRule &rule) { return matches(rule, key, address); });
}

IpPrefix literal(const char *text) {
  return *IpPrefix::parse(text);
}

constexpr std::string_view kAddressOfHost = "address of the host";

// Metadata services that are not link-local: they hand credentials of the machine to whoever asks from it.
bool is_metadata_service(const IpAddress &address) {
  static const std::array<IpAddress, 3> kServices{
      *IpAddress::parse("fd00:ec2::254"),    // Amazon
      *IpAddress::parse("fd20:ce::254"),     // Google
      *IpAddress::parse("100.100.100.200"),  // Alibaba
  };
  return std::find(kServices.begin(), kServices.end(), address) != kServices.end();
}

}  // namespace

std::optional<IpAddress> embedded_v4(const IpAddress &address) {
  if (address.is_v4()) return std::nullopt;
  static const IpPrefix kCompatible = literal("::/96");            // RFC 4291 section 2.5.5.1
  static const IpPrefix kTranslated = literal("::ffff:0:0:0/96");  // RFC 2765 section 2.1
  static const IpPrefix kNat64 = literal("64:ff9b::/96");          // RFC 6052 section 2.1
  static const IpPrefix kNat64Local = literal("64:ff9b:1::/48");   // RFC 8215
  static const IpPrefix k6to4 = literal("2002::/16");              // RFC 3056 section 2
  static const IpPrefix kTeredo = literal("2001::/32");            // RFC 4380 section 4
  Bytes bytes = address.v6_bytes();
  bool last_four = kCompatible.contains(address) || kTranslated.contains(address) || kNat64.contains(address) ||
                   kNat64Local.contains(address);
  if (last_four) return IpAddress::from_v4(bytes.subspan(12, 4));
  if (k6to4.contains(address)) return IpAddress::from_v4(bytes.subspan(2, 4));
  if (kTeredo.contains(address)) {
    return IpAddress::v4(bytes[12] ^ 0xff, bytes[13] ^ 0xff, bytes[14] ^ 0xff, bytes[15] ^ 0xff);
  }
  return std::nullopt;
}

Policy::Policy(PolicyOptions options) : options_(std::move(options)) {}

std::string_view Policy::closed_by_default(const IpAddress &address) const {
  static const IpPrefix kThisNetwork = literal("0.0.0.0/8");  // RFC 1122 section 3.2.1.3
  if (address.is_unspecified() || kThisNetwork.contains(address)) return "unspecified address";
  if (address.is_loopback()) return "loopback address";      // lesson: policy-loopback-closed
  if (address.is_link_local()) return "link-local address";  // lesson: policy-metadata-closed
  if (is_metadata_service(address)) return "metadata service";
  if (address.is_multicast()) return "multicast address";
  bool broadcast =
      address.is_broadcast() || std::binary_search(host_broadcasts_.begin(), host_broadcasts_.end(), address);
  if (broadcast) return "broadcast address";
  bool own = std::binary_search(host_addresses_.begin(), host_addresses_.end(), address);
  if (own && !options_.enable_host) return kAddressOfHost;  // lesson: policy-host-closed
  return {};
}

Verdict Policy::check(const FlowKey &key) const {
  const IpAddress &address = key.outside.address;
  std::optional<IpAddress> carried = embedded_v4(address);
  if (any_matches(options_.deny, key, address) || (carried && any_matches(options_.deny, key, *carried))) {
    return {false, "deny rule"};
  }
  if (any_matches(options_.allow, key, address)) return {true, "allow rule"};
  if (options_.closed) return {false, "not allowed by any rule"};
  if (std::string_view why = closed_by_default(address); !why.empty()) return {false, why, why == kAddressOfHost};
  if (carried) {  // lesson: policy-embedded-closed
    if (std::string_view why = closed_by_default(*carried); !why.empty()) return {false, why};
  }
  return {true, "open by default"};
}

void Policy::set_host_addresses(const std::vector<HostAddress> &addresses) {
  host_addresses_.clear();
  host_broadcasts_.clear();
  for (const HostAddress &host : addresses) {
    host_addresses_.push_back(host.address);
    // RFC 919 section 7; networks of 31 and 32 bits have no broadcast address (RFC 3021).
    if (!host.address.is_v4() || host.prefix_length < 1 || host.prefix_length > 30) continue;
    uint32_t number = ByteReader(host.address.v4_bytes()).u32() | (0xffffffffu >> host.prefix_length);
    host_broadcasts_.push_back(IpAddress::from_v4(bytes_of(be32(number))));
  }
  std::sort(host_addresses_.begin(), host_addresses_.end());
  std::sort(host_broadcasts_.begin(), host_broadcasts_.end());
}

std::vector<std::string> Policy::names() const {
  std::vector<std::string> names;
  for (const std::vector<PolicyRule> *rules : {&options_.deny, &options_.allow}) {
    for (const PolicyRule &rule : *rules) {
      if (!rule.name.empty()) names.push_back(rule.name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void Policy::set_resolved(std::string_view name, const std::vector<IpAddress> &addresses) {
  for (std::vector<PolicyRule> *rules : {&options_.deny, &options_.allow}) {
    for (PolicyRule &rule : *rules) {
      if (rule.name == name) rule.resolved = addresses;
    }
  }
}

void Policy::keep_resolved(const Policy &before) {
  for (const std::vector<PolicyRule> *rules : {&before.options_.deny, &before.options_.allow}) {
    for (const PolicyRule &rule : *rules) {
      if (!rule.name.empty() && !rule.resolved.empty()) set_resolved(rule.name, rule.resolved);
    }
  }
}

namespace {

constexpr std::string_view kGrammar =
    "expected [tcp|udp|icmp]://IP-or-CIDR-or-NAME[:PORT[-PORT]], IPv6 with a port in []";

Error bad_rule(std::string_view rule, std::string_view problem) {
  return {0, fmt::format("rule \"{}\": {}; {}", rule, problem, kGrammar)};
}

Result<PolicyRule> parse_rule(std::string_view text, std::optional<Protocol> unnamed) {
  PolicyRule rule;
  rule.protocol = unnamed;
  std::string_view rest = text;
  if (size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    std::string_view name = rest.substr(0, scheme);
    rest.remove_prefix(scheme + 3);
    if (name == "tcp") {
      rule.protocol = Protocol::tcp;
    } else if (name == "udp") {
      rule.protocol = Protocol::udp;
    } else if (name == "icmp") {
      rule.protocol = Protocol::icmp;
    } else if (!name.empty()) {
      return bad_rule(text, fmt::format("\"{}\" is not a protocol", name));
    }
  }

  // host, and what stands behind its last colon. A bare IPv6 network has colons and no port.
  std::string host;
  std::optional<std::string_view> ports;
  if (rest.starts_with('[')) {
    size_t close = rest.find(']');
    if (close == std::string_view::npos) return bad_rule(text, "\"[\" without \"]\"");
    host = rest.substr(1, close - 1);
    if (host.find(':') == std::string::npos) return bad_rule(text, "only IPv6 addresses stand in brackets");
    rest.remove_prefix(close + 1);
    // Both [2001:db8::/32]:80 and [2001:db8::]/32:80.
    size_t colon = std::min(rest.find(':'), rest.size());
    host += rest.substr(0, colon);
    if (colon < rest.size()) ports = rest.substr(colon + 1);
  } else if (IpPrefix::parse(rest)) {
    host = rest;
  } else {
    size_t colon = std::min(rest.rfind(':'), rest.size());
    host = rest.substr(0, colon);
    if (colon < rest.size()) ports = rest.substr(colon + 1);
  }

  if (std::optional<IpPrefix> prefix = IpPrefix::parse(host)) {
    rule.prefix = *prefix;
  } else if (is_host_name(host)) {
    rule.name = host;
  } else {
    return bad_rule(text, fmt::format("\"{}\" is neither an address, a network nor a name", host));
  }

  if (ports) {
    size_t dash = std::min(ports->find('-'), ports->size());
    std::optional<uint16_t> low = parse_port(ports->substr(0, dash));
    std::optional<uint16_t> high = dash == ports->size() ? low : parse_port(ports->substr(dash + 1));
    if (!low || !high) return bad_rule(text, fmt::format("\"{}\" is not a port or range of ports (0-65535)", *ports));
    if (*low > *high) return bad_rule(text, fmt::format("the range {} goes backwards", *ports));
    bool every = *high == 0;
    if (!every) {
      if (rule.protocol == Protocol::icmp) return bad_rule(text, "icmp has no ports");
      rule.port_low = *low;
      rule.port_high = *high;
    }
  }
  return rule;
}

}  // namespace

Result<std::vector<PolicyRule>> parse_policy_rules(std::string_view text, std::optional<Protocol> unnamed) {
  std::vector<PolicyRule> rules;
  while (true) {
    size_t comma = std::min(text.find(','), text.size());
    std::string_view one = text.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty()) return bad_rule(one, "empty");
    Result<PolicyRule> rule = parse_rule(one, unnamed);
    if (!rule) return rule.error();
    rules.push_back(std::move(*rule));
    if (comma == text.size()) return rules;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace slipgate
