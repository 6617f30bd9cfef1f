#include "flow/rules.h"

#include <fmt/format.h>

#include <algorithm>
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

}  // namespace

bool Rules::match(const FlowKey &key, const IpAddress &address) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const PolicyRule &rule) { return matches(rule, key, address); });
}

std::vector<std::string> Rules::names() const {
  std::vector<std::string> names;
  for (const PolicyRule &rule : rules_) {
    if (!rule.name.empty()) names.push_back(rule.name);
  }
  return names;
}

void Rules::set_resolved(std::string_view name, const std::vector<IpAddress> &addresses) {
  for (PolicyRule &rule : rules_) {
    if (rule.name == name) rule.resolved = addresses;
  }
}

void Rules::keep_resolved(const Rules &before) {
  for (const PolicyRule &rule : before.rules_) {
    if (!rule.name.empty() && !rule.resolved.empty()) set_resolved(rule.name, rule.resolved);
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
