#include "dns/local_names.h"

namespace slipgate::dns {

namespace {

bool stays(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

std::optional<Name> name_below(std::string_view text, const Name &domain) {
  std::string label;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!stays(c)) c = '-';
    if (c == '-' && (label.empty() || label.ends_with('-'))) continue;
    label += c;
  }
  while (label.ends_with('-') || label.ends_with('.')) label.pop_back();
  if (label.empty()) return std::nullopt;
  return Name::parse(domain.is_root() ? label : label + "." + domain.to_string());
}

LocalNames::LocalNames(const Name &domain, const std::vector<NamedHost> &hosts) : domain_(domain) {
  for (const NamedHost &host : hosts) {
    std::optional<Name> name = host.name.empty() ? domain : name_below(host.name, domain);
    if (!name) continue;
    std::string key = name->key();
    std::vector<IpAddress> &known = addresses_[key];
    if (!known.empty()) continue;
    known = host.addresses;
    for (const IpAddress &address : host.addresses) names_.try_emplace(address, *name);
    // RFC 8020: what has names below it exists.
    while (key.size() > domain.bytes().size()) {
      key.erase(0, 1 + static_cast<size_t>(key[0]));
      addresses_.try_emplace(key);
    }
  }
}

std::optional<Answer> LocalNames::answer(const Question &question, uint32_t ttl) const {
  if (!domain_ || question.klass != static_cast<uint16_t>(Class::IN)) return std::nullopt;
  if (question.is(Type::PTR)) {
    std::optional<IpAddress> address = question.name.reversed_address();
    auto found = address ? names_.find(*address) : names_.end();
    if (found != names_.end()) return Answer::of_name(question, found->second, ttl);
  }
  if (!question.name.is_within(*domain_)) return std::nullopt;
  auto found = addresses_.find(question.name.key());
  if (found != addresses_.end()) {
    Answer answer = Answer::of_addresses(question, found->second, ttl);
    if (answer.has_records()) return answer;
  }
  bool exists = found != addresses_.end() || question.name == *domain_;
  return Answer::of_absence(question, exists ? Code::NoError : Code::NXDomain, *domain_, ttl);
}

}  // namespace slipgate::dns
