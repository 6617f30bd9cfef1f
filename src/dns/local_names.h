// The domain that is ours: names of peers, and what they are called by their addresses. All of it is answered here;
// nothing about it is asked of anyone else.
//
//   phone.home.internal.                 A     10.7.0.2
//   2.0.7.10.in-addr.arpa.               PTR   phone.home.internal.
//   home.internal.                       A     10.7.0.1          the gateway itself
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/address.h"
#include "dns/answer.h"
#include "wire/dns.h"

namespace slipgate::dns {

struct NamedHost {
  std::string name;  // as its owner wrote it; empty: the domain itself
  std::vector<IpAddress> addresses;

  bool operator==(const NamedHost &) const = default;
};

// `text` as a name below `domain`: letters, digits, dots, dashes and underscores stay, and a run of anything else
// becomes a dash ("Ann's phone": ann-s-phone). Nothing when there is nothing left, or too much.
std::optional<Name> name_below(std::string_view text, const Name &domain);

class LocalNames {
 public:
  LocalNames() = default;  // no domain: answers nothing
  // Of two hosts with one name, or one address, the first has it.
  LocalNames(const Name &domain, const std::vector<NamedHost> &hosts);

  // Nothing when the question is not ours.
  std::optional<Answer> answer(const Question &question, uint32_t ttl) const;

 private:
  std::optional<Name> domain_;
  std::unordered_map<std::string, std::vector<IpAddress>> addresses_;  // by Name::key()
  std::map<IpAddress, Name> names_;
};

}  // namespace slipgate::dns
