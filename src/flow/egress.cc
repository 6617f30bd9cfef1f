#include "flow/egress.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "flow/words.h"

namespace slipgate {

namespace {

constexpr std::string_view kDirectWord = "direct", kSocks5 = "socks5://", kHttp = "http://";

bool is_url(std::string_view text) {
  return text == kDirectWord || text.starts_with(kSocks5) || text.starts_with(kHttp);
}

// RFC 3986 section 2.1.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    uint8_t byte = 0;
    std::string_view digits = text.substr(i + 1, 2);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
    plain += static_cast<char>(byte);
    i += 2;
  }
  return plain;
}

constexpr size_t kMostLogin = 255;  // RFC 1929 section 2: each has one byte of length

bool is_login_part(const std::optional<std::string> &text) {
  return text && !text->empty() && text->size() <= kMostLogin;
}

// HOST:PORT.
Result<void> parse_place(std::string_view text, Proxy &proxy) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Error{0, "no port; give HOST:PORT"};
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  std::optional<IpAddress> literal = IpAddress::parse(host);
  const bool good = literal ? literal->is_v4() != bracketed : !bracketed && is_host_name(host);
  if (!good) return Error{0, fmt::format("\"{}\" is neither an address nor a name; IPv6 stands in brackets", host)};
  std::optional<uint16_t> number = parse_port(port);
  if (!number || *number == 0) return Error{0, fmt::format("\"{}\" is not a port (1-65535)", port)};
  proxy.host = host;
  proxy.port = *number;
  return {};
}

Result<ProxyPtr> parse_url(std::string_view url) {
  if (url == kDirectWord) return ProxyPtr();
  auto proxy = std::make_shared<Proxy>();
  if (url.starts_with(kHttp)) {
    proxy->kind = Proxy::Kind::http;
    url.remove_prefix(kHttp.size());
  } else if (url.starts_with(kSocks5)) {
    url.remove_prefix(kSocks5.size());
  } else {
    return Error{0, "not direct, socks5://[USER:PASSWORD@]HOST:PORT or http://HOST:PORT"};
  }
  if (url.ends_with('/')) url.remove_suffix(1);
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) {
    if (proxy->kind == Proxy::Kind::http) return Error{0, "http:// takes no user and password; give http://HOST:PORT"};
    std::string_view login = url.substr(0, at);
    const size_t colon = login.find(':');
    std::optional<std::string> user = percent_decoded(login.substr(0, colon)), password;
    if (colon != std::string_view::npos) password = percent_decoded(login.substr(colon + 1));
    if (!is_login_part(user) || !is_login_part(password)) {
      return Error{0, "before the @ stands no USER:PASSWORD, of 1 to 255 bytes each; write special ones as %XX"};
    }
    proxy->user = std::move(*user);
    proxy->password = std::move(*password);
    url.remove_prefix(at + 1);
  }
  if (Result<void> read = parse_place(url, *proxy); !read) return read.error();
  return ProxyPtr(std::move(proxy));
}

}  // namespace

std::string Proxy::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}{}:{}", kind == Kind::socks5 ? kSocks5 : kHttp, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

Egress::Egress(const EgressOptions &options) {
  for (const EgressRule &rule : options) {
    choices_.push_back({rule.rules ? std::optional(Rules(*rule.rules)) : std::nullopt, rule.proxy});
  }
}

Egress::Way Egress::choose(const FlowKey &key) const {
  for (size_t i = 0; i < choices_.size(); i++) {
    const Choice &choice = choices_[i];
    if (choice.rules && !choice.rules->match(key, key.outside.address)) continue;
    return {choice.proxy, static_cast<uint16_t>(i + 1)};
  }
  return {};
}

std::vector<std::string> Egress::names() const {
  std::vector<std::string> names;
  for (const Choice &choice : choices_) {
    if (!choice.rules) continue;
    const std::vector<std::string> more = choice.rules->names();
    names.insert(names.end(), more.begin(), more.end());
  }
  return names;
}

void Egress::set_resolved(std::string_view name, const std::vector<IpAddress> &addresses) {
  for (Choice &choice : choices_) {
    if (choice.rules) choice.rules->set_resolved(name, addresses);
  }
}

void Egress::keep_resolved(const Egress &before) {
  for (const Choice &old : before.choices_) {
    for (Choice &choice : choices_) {
      if (choice.rules && old.rules) choice.rules->keep_resolved(*old.rules);
    }
  }
}

Result<EgressRule> parse_egress(std::string_view text) {
  EgressRule rule;
  std::string_view url = text, which;
  if (const size_t equals = text.find('='); !is_url(text) && equals != std::string_view::npos) {
    which = text.substr(0, equals);
    url = text.substr(equals + 1);
    Result<std::vector<PolicyRule>> rules = parse_policy_rules(which);
    if (!rules) return rules.error();
    rule.rules = std::move(*rules);
  }
  Result<ProxyPtr> proxy = parse_url(url);
  if (!proxy) return proxy.error();
  rule.proxy = std::move(*proxy);
  rule.text = rule.rules ? fmt::format("{}=", which) : std::string();
  rule.text += rule.proxy ? rule.proxy->to_string() : std::string(kDirectWord);
  return rule;
}

}  // namespace slipgate
