#include "dns/host_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "base/read_file.h"

namespace slipgate::dns {

namespace {

// Takes the next word off `line`; empty at its end.
std::string_view next_word(std::string_view &line) {
  constexpr std::string_view kBlank = " \t\r\v\f";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  size_t end = std::min(line.find_first_of(kBlank), line.size());
  std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

// Takes the next line off `text`, without what follows one of `comment`.
std::string_view next_line(std::string_view &text, std::string_view comment) {
  size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line.substr(0, line.find_first_of(comment));
}

// An address, perhaps with %interface; or "[ADDRESS]:PORT", which OpenBSD has.
std::optional<std::string> read_server(std::string_view word) {
  if (IpAddress::parse(word.substr(0, word.find('%')))) return std::string(word);
  size_t close = word.find("]:");
  if (!word.starts_with('[') || close == std::string_view::npos) return std::nullopt;
  std::optional<IpAddress> address = IpAddress::parse(word.substr(1, close - 1));
  std::string_view digits = word.substr(close + 2);
  uint16_t port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (!address || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return Endpoint{*address, port}.to_string();
}

std::string address_key(const IpAddress &address) {
  return std::string(text_of(address.v6_bytes()));
}

}  // namespace

std::optional<std::string> WatchedFile::changed(Time now) {
  if (looked_ && now - *looked_ < recheck_) return std::nullopt;
  looked_ = now;
  struct stat status;
  if (stat(path_.c_str(), &status) != 0) return std::nullopt;
  Version version{status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size), status.st_mtim.tv_sec,
                  status.st_mtim.tv_nsec};
  if (version == version_) return std::nullopt;  // lesson: dns-host-files-watched
  Result<std::string> content = read_file(path_, kMostBytes);
  if (!content) return std::nullopt;
  version_ = version;
  return std::move(*content);
}

Hosts::Hosts(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = next_line(text, "#");
    std::optional<IpAddress> address = IpAddress::parse(next_word(line));
    if (!address) continue;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      std::optional<Name> name = Name::parse(word);
      if (!name || name->is_root()) continue;
      std::vector<IpAddress> &known = addresses_[name->key()];
      if (known.size() < kMostAddresses && std::find(known.begin(), known.end(), *address) == known.end()) {
        known.push_back(*address);
      }
      names_.emplace(address_key(*address), *name);  // the first stays
    }
  }
}

const std::vector<IpAddress> *Hosts::addresses(const Name &name) const {
  auto found = addresses_.find(name.key());
  return found == addresses_.end() ? nullptr : &found->second;
}

const Name *Hosts::name(const IpAddress &address) const {
  auto found = names_.find(address_key(address));
  return found == names_.end() ? nullptr : &found->second;
}

ResolvConf::ResolvConf(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = next_line(text, "#;");
    std::string_view keyword = next_word(line);
    if (keyword == "nameserver") {
      std::optional<std::string> server = read_server(next_word(line));
      if (server && servers.size() < kMostServers) servers.push_back(*server);
    } else if (keyword == "search" || keyword == "domain") {
      search.clear();  // the last line counts
      for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        std::optional<Name> domain = Name::parse(word);
        if (domain && !domain->is_root() && search.size() < kMostSearch) search.push_back(*domain);
      }
    } else if (keyword == "options") {
      for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        constexpr std::string_view kNdots = "ndots:";
        if (!word.starts_with(kNdots)) continue;
        word.remove_prefix(kNdots.size());
        int value = 0;
        std::from_chars(word.data(), word.data() + word.size(), value);
        ndots = std::clamp(value, 0, 15);  // resolv.conf(5): capped to 15
      }
    }
  }
}

}  // namespace slipgate::dns
