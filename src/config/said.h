// What was said about a gateway, key by key, by a command line, a file, or both: what --print-config prints, and what a
// reload compares.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipgate {

struct SaidOption {
  std::string name;                 // as the options' tables have it: with dashes
  std::vector<std::string> values;  // one unless it may repeat; of a flag: ""

  bool operator==(const SaidOption &) const = default;
};
using SaidOptions = std::vector<SaidOption>;

struct SaidLink {
  std::string kind;  // "wireguard", "gue"
  SaidOptions options;
  std::vector<SaidOptions> peers;
};

struct Said {
  SaidOptions gateway;
  std::vector<SaidLink> links;
};

// What is said later wins; of options that may repeat, it comes behind.
inline void say(SaidOptions &options, std::string_view name, std::string_view value, bool repeats) {
  for (SaidOption &option : options) {
    if (option.name != name) continue;
    if (!repeats) option.values.clear();
    option.values.emplace_back(value);
    return;
  }
  options.push_back({std::string(name), {std::string(value)}});
}

}  // namespace slipgate
