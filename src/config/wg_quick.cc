#include "config/wg_quick.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "base/read_file.h"
#include "config/values.h"
#include "crypto/x25519.h"

namespace slipgate {

namespace {

constexpr size_t kLongestFile = 64 << 20;  // 100,000 peers and more
constexpr size_t kLongestName = 64;        // of a peer: it goes into log lines and metrics labels

std::string clean_name(std::string_view name) {
  std::string text(trim(name).substr(0, kLongestName));
  std::erase_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return text;
}

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  if (text.size() < prefix.size() || !same_word(text.substr(0, prefix.size()), prefix)) return text;
  return trim(text.substr(prefix.size()));
}

// "Name = laptop" of a comment inside [Peer], or "friendly_name", as exporters of metrics read it.
std::optional<std::string> named_in_comment(std::string_view comment) {
  size_t equals = comment.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  std::string_view key = trim(comment.substr(0, equals));
  if (!same_word(key, "name") && !same_word(key, "friendly_name")) return std::nullopt;
  return clean_name(comment.substr(equals + 1));
}

class Reader {
 public:
  Reader(std::string_view text, const std::string &path, WgQuickUse use) : rest_(text), use_(use) { file_.path = path; }

  WgQuickFile read() {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // byte order mark of Windows editors
    while (!rest_.empty()) {
      line_++;
      size_t end = rest_.find('\n');
      read_line(trim(rest_.substr(0, end)));
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    }
    settle_name();
    end_of_section();
    check_whole();
    return std::move(file_);
  }

 private:
  enum class Section { none, interface, peer, unknown };

  struct KeyRow {
    std::string_view name;
    Section section;
    bool list;                                     // may be given more than once
    void (Reader::*read)(std::string_view value);  // null: accepted, no effect
    bool of_interface = false;                     // has an effect on an interface of this machine only
  };
  static const std::array<KeyRow, 17> kKeys;

  void problem(int line, std::string text) { file_.problems.push_back({file_.path, line, std::move(text)}); }
  void note(int line, std::string text) { file_.notes.push_back({file_.path, line, std::move(text)}); }
  void problem_with(std::string_view value, const Error &error) {
    problem(line_, fmt::format("{} {}: {}", key_, shown(value), error.text));
  }

  void read_line(std::string_view line) {
    if (line.empty()) {
      settle_name();
      comment_above_.clear();
    } else if (line.front() == '#') {
      read_comment(line);
    } else if (line.front() == '[') {
      begin_section(trim(line.substr(0, line.find('#'))));
    } else {
      settle_name();
      comment_above_.clear();
      read_key(trim(line.substr(0, line.find('#'))));
    }
  }

  void read_comment(std::string_view line) {
    comment_above_ = name_in_comment(line);
    if (section_ != Section::peer) return;
    line.remove_prefix(std::min(line.find_first_not_of("# \t"), line.size()));
    if (std::optional<std::string> name = named_in_comment(line)) name_inside_ = *name;
  }

  // Comments directly above a header are the next section's; others are this peer's.
  void settle_name() {
    if (name_inside_) file_.peers.back().config.name = *name_inside_;
    name_inside_.reset();
  }

  void begin_section(std::string_view header) {
    end_of_section();
    name_inside_.reset();
    section_line_ = line_;
    if (same_word(header, "[Interface]")) {
      section_ = Section::interface;
      if (interface_line_ == 0) interface_line_ = line_;
    } else if (same_word(header, "[Peer]")) {
      section_ = Section::peer;
      file_.peers.emplace_back().config.name = comment_above_;
      seen_.clear();
      has_public_key_ = false;
    } else {
      section_ = Section::unknown;
      constexpr std::array<std::string_view, 2> kSections{"[Interface]", "[Peer]"};
      problem(line_, fmt::format("{}: unknown section{}; a wg-quick file has [Interface] and [Peer]", shown(header),
                                 did_you_mean(header, kSections)));
    }
    comment_above_.clear();
  }

  void end_of_section() {
    if (section_ == Section::peer && !has_public_key_ && !bad_public_key_) {
      problem(section_line_,
              "[Peer]: no PublicKey; add the peer's public key (`slipgate pubkey` makes it from the private)");
    }
    bad_public_key_ = false;
  }

  void read_key(std::string_view line) {
    if (section_ == Section::unknown) return;  // said once, at its header
    size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      problem(line_, fmt::format("{}: not KEY = VALUE", shown(line)));
      return;
    }
    std::string_view name = trim(line.substr(0, equals));
    std::string_view value = trim(line.substr(equals + 1));
    const KeyRow *row = find_row(name);
    if (!row) return;
    key_ = row->name;
    const bool has_effect = row->read && (!row->of_interface || use_ == WgQuickUse::interface);
    if (!row->list) {
      auto [first, fresh] = seen_.try_emplace(row->name, line_);
      if (!fresh && has_effect)
        note(line_, fmt::format("{}: given before in line {}; this one counts", key_, first->second));
    }
    if (has_effect) {
      (this->*row->read)(value);
    } else if (std::ranges::find(without_effect_, row->name) == without_effect_.end()) {
      without_effect_.push_back(row->name);
      if (without_effect_line_ == 0) without_effect_line_ = line_;
    }
  }

  const KeyRow *find_row(std::string_view name) {
    auto row = std::ranges::find_if(kKeys, [&](const KeyRow &each) { return same_word(each.name, name); });
    if (row == kKeys.end()) {
      std::vector<std::string_view> names;
      for (const KeyRow &each : kKeys) {
        if (section_ == Section::none || each.section == section_) names.push_back(each.name);
      }
      problem(line_, fmt::format("{}: unknown key{}; known here: {}", shown(name), did_you_mean(name, names),
                                 fmt::join(names, ", ")));
      return nullptr;
    }
    if (section_ == Section::none) {
      problem(line_, fmt::format("{}: stands before any section; put it under {}", row->name,
                                 row->section == Section::peer ? "[Peer]" : "[Interface]"));
      return nullptr;
    }
    if (row->section != section_) {
      problem(line_, fmt::format("{}: belongs under {}, not here", row->name,
                                 row->section == Section::peer ? "[Peer]" : "[Interface]"));
      return nullptr;
    }
    return row;
  }

  wireguard::PeerConfig &peer() { return file_.peers.back().config; }

  void read_private_key(std::string_view value) {
    Result<wireguard::Key> key = parse_key(value, key_, true);
    has_private_key_ = true;
    if (!key) return problem(line_, key.error().text);
    file_.private_key = *key;
  }

  void read_listen_port(std::string_view value) {
    Result<uint64_t> port = parse_number(value, 0, 65535);
    if (!port) return problem_with(value, port.error());
    file_.listen_port = static_cast<uint16_t>(*port);
  }

  void read_addresses(std::string_view value) {
    for (std::string_view item : split(value, ',')) {
      Result<IpPrefix> network = parse_prefix(item);
      if (!network) {
        problem_with(item, network.error());
        continue;
      }
      IpAddress address = *IpAddress::parse(item.substr(0, item.find('/')));
      if (address.is_unspecified() || address.is_multicast() || address.is_broadcast() || address.is_loopback()) {
        problem_with(item, {0, "an address that no machine may have; give one like 10.0.0.1/24 or fd00::1/64"});
        continue;
      }
      file_.addresses.push_back({address, network->length});
    }
  }

  void read_dns(std::string_view value) {
    for (std::string_view item : split(value, ',')) {
      if (std::optional<IpAddress> address = IpAddress::parse(item)) {
        file_.dns.push_back(*address);
      } else if (is_host_or_scoped_address(item)) {
        file_.search_domains.emplace_back(item);  // wg-quick(8): "non-IP hostnames" are search domains
      } else {
        problem_with(item, {0, "neither an IP address nor a search domain; give one like 1.1.1.1 or example.org"});
      }
    }
  }

  void read_mtu(std::string_view value) {
    Result<uint64_t> mtu = parse_number(value, kSmallestMtu, kLargestMtu);
    if (!mtu) return problem_with(value, mtu.error());
    file_.mtu = static_cast<uint16_t>(*mtu);
  }

  void read_table(std::string_view value) {
    if (value != "auto" && value != "off") {
      if (Result<uint64_t> number = parse_number(value, 1, UINT32_MAX); !number) {
        return problem_with(value, {0, "neither auto, off nor a table's number"});
      }
    }
    file_.table = value;
  }

  void read_mark(std::string_view value) {
    const bool hexadecimal = value.starts_with("0x");
    const std::string_view digits = value.substr(hexadecimal ? 2 : 0);
    uint32_t mark = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mark, hexadecimal ? 16 : 10);
    if (value != "off" && (error != std::errc() || end != digits.data() + digits.size())) {
      return problem_with(value, {0, "neither off nor a number like 51820 or 0xca6c"});
    }
    file_.mark = value == "off" ? 0 : mark;
  }

  void read_public_key(std::string_view value) {
    Result<wireguard::PublicKey> key = parse_public_key(value, "PublicKey");
    if (!key) {
      bad_public_key_ = true;
      return problem(line_,
                     key.error().text.starts_with("PublicKey") ? key.error().text : "PublicKey " + key.error().text);
    }
    has_public_key_ = true;
    peer().public_key = *key;
    public_key_lines_.push_back({file_.peers.size() - 1, line_});
  }

  void read_preshared_key(std::string_view value) {
    Result<wireguard::Key> key = parse_key(value, key_, true);
    if (!key) return problem(line_, key.error().text);
    peer().preshared_key = *key;
  }

  void read_allowed_ips(std::string_view value) {
    for (std::string_view item : split(value, ',')) {
      Result<IpPrefix> prefix = parse_prefix(item);
      if (!prefix) {
        problem_with(item, prefix.error());
        continue;
      }
      // The same prefix twice: the later would silently win. Nested ones are fine, the longest wins.
      auto [owner, fresh] = prefix_owners_.try_emplace(*prefix, PrefixOwner{file_.peers.size() - 1, line_});
      if (fresh) {
        peer().allowed_ips.push_back(*prefix);
      } else if (owner->second.peer != file_.peers.size() - 1) {  // lesson: wg-allowed-ips-same-prefix
        const std::string &name = file_.peers[owner->second.peer].config.name;
        problem_with(
            item, {0, fmt::format("already given to {} in line {}; one prefix has one peer, take it out of one of them",
                                  name.empty() ? "the peer" : name, owner->second.line)});
      }
    }
  }

  void read_endpoint(std::string_view value) {
    Result<void> read = parse_peer_endpoint(value, file_.peers.back());
    if (!read) problem_with(value, read.error());
  }

  void read_keepalive(std::string_view value) {
    Result<uint16_t> interval = parse_keepalive(value);
    if (!interval) return problem_with(value, interval.error());
    peer().persistent_keepalive = *interval;
  }

  void check_whole() {
    if (interface_line_ == 0) {
      problem(0, "no [Interface]; a wg-quick file begins with [Interface] and a PrivateKey");
    } else if (!has_private_key_) {
      problem(interface_line_, "[Interface]: no PrivateKey; add one that `slipgate genkey` prints");
    }
    std::map<wireguard::PublicKey, int> lines;
    std::optional<wireguard::PublicKey> own;
    if (!file_.private_key.is_zero()) own = public_key_of(file_.private_key);
    for (auto [index, line] : public_key_lines_) {
      const wireguard::PublicKey &key = file_.peers[index].config.public_key;
      auto [first, fresh] = lines.try_emplace(key, line);
      if (!fresh)
        problem(line, fmt::format("PublicKey: the same as in line {}; every peer has its own key", first->second));
      if (key == own) problem(line, "PublicKey: this is the gateway's own; give the peer's (its own `wg pubkey`)");
    }
    if (!without_effect_.empty()) {
      note(without_effect_line_,
           fmt::format("{}: no effect here ({})", fmt::join(without_effect_, ", "),
                       use_ == WgQuickUse::gateway ? "no interface is made on this machine" : "wg-quick does that"));
    }
    std::ranges::stable_sort(file_.problems, {}, &Problem::line);
    std::ranges::stable_sort(file_.notes, {}, &Problem::line);
  }

  struct PrefixOwner {
    size_t peer;
    int line;
  };

  std::string_view rest_;
  const WgQuickUse use_;
  WgQuickFile file_;
  int line_ = 0;
  Section section_ = Section::none;
  int section_line_ = 0;
  int interface_line_ = 0;
  std::string_view key_;                    // the one being read, in its usual spelling
  std::string comment_above_;               // the name in the comment of the line before
  std::optional<std::string> name_inside_;  // in a comment of this peer's, perhaps
  std::map<std::string_view, int> seen_;    // keys of this section
  std::map<IpPrefix, PrefixOwner> prefix_owners_;
  std::vector<std::pair<size_t, int>> public_key_lines_;  // peer and line
  std::vector<std::string_view> without_effect_;
  int without_effect_line_ = 0;
  bool has_private_key_ = false;
  bool has_public_key_ = false;
  bool bad_public_key_ = false;
};

const std::array<Reader::KeyRow, 17> Reader::kKeys{{
    {"PrivateKey", Section::interface, false, &Reader::read_private_key},
    {"ListenPort", Section::interface, false, &Reader::read_listen_port},
    {"Address", Section::interface, true, &Reader::read_addresses},
    {"DNS", Section::interface, true, &Reader::read_dns},
    {"MTU", Section::interface, false, &Reader::read_mtu},
    {"Table", Section::interface, false, &Reader::read_table, true},
    {"PreUp", Section::interface, true, nullptr},
    {"PostUp", Section::interface, true, nullptr},
    {"PreDown", Section::interface, true, nullptr},
    {"PostDown", Section::interface, true, nullptr},
    {"SaveConfig", Section::interface, false, nullptr},
    {"FwMark", Section::interface, false, &Reader::read_mark, true},
    {"PublicKey", Section::peer, false, &Reader::read_public_key},
    {"PresharedKey", Section::peer, false, &Reader::read_preshared_key},
    {"AllowedIPs", Section::peer, true, &Reader::read_allowed_ips},
    {"Endpoint", Section::peer, false, &Reader::read_endpoint},
    {"PersistentKeepalive", Section::peer, false, &Reader::read_keepalive},
}};

}  // namespace

std::string name_in_comment(std::string_view line) {
  line = trim(line);
  if (line.empty() || line.front() != '#') return {};
  line.remove_prefix(std::min(line.find_first_not_of("# \t"), line.size()));
  if (std::optional<std::string> name = named_in_comment(line)) return *name;
  // A key or a section that was commented out is no name.
  if (line.find('=') != std::string_view::npos || line.starts_with('[')) return {};
  // How widely used install scripts write it: "### Client laptop", "# Client: laptop", "# BEGIN_PEER laptop".
  for (std::string_view prefix : {"BEGIN_PEER ", "Client: ", "Client ", "Peer: "}) line = without_prefix(line, prefix);
  return clean_name(line);
}

WgQuickFile read_wg_quick(std::string_view text, const std::string &path, WgQuickUse use) {
  return Reader(text, path, use).read();
}

Result<std::string> read_whole_file(const std::string &path) {
  Result<std::string> text = read_file(path, kLongestFile + 1, AtPipe::wait);
  if (text && text->size() > kLongestFile) {
    wipe({reinterpret_cast<uint8_t *>(text->data()), text->size()});
    return Error{0, fmt::format("longer than {} bytes, so no configuration", kLongestFile)};
  }
  return text;
}

Result<wireguard::Key> read_key_file(const std::string &path) {
  Result<std::string> content = read_whole_file(path);
  if (!content) return content.error();
  std::string_view line(*content);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  Result<wireguard::Key> key = parse_key(trim(line), "the key in it", true);
  wipe({reinterpret_cast<uint8_t *>(content->data()), content->size()});
  return key;
}

std::optional<std::string> readable_by_all(const std::string &path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & 0007) == 0) return std::nullopt;
  return fmt::format("mode {:04o}: everybody on this machine may read the keys; chmod 600 {}", status.st_mode & 07777,
                     path);
}

WgQuickFile load_wg_quick(const std::string &path, WgQuickUse use) {
  Result<std::string> text = read_whole_file(path);
  if (!text) {
    WgQuickFile file;
    file.path = path;
    file.problems.push_back({path, 0, text.error().text});
    return file;
  }
  WgQuickFile file = read_wg_quick(*text, path, use);
  wipe({reinterpret_cast<uint8_t *>(text->data()), text->size()});
  if (std::optional<std::string> open_to_all = readable_by_all(path)) {
    file.notes.insert(file.notes.begin(), {path, 0, *open_to_all});
  }
  return file;
}

void apply_wg_quick(const WgQuickFile &file, LinkOptions &link) {
  WireGuardLinkOptions &wireguard = *link.wireguard();
  wireguard.private_key = file.private_key;
  wireguard.listen = Endpoint{IpAddress(), file.listen_port.value_or(0)};
  wireguard.peers = file.peers;
  link.addresses.clear();
  for (const InterfaceAddress &own : file.addresses) {
    link.addresses.emplace_back(own.address, own.address.family_bits());
  }
  if (file.mtu) link.mtu = *file.mtu;
}

void apply_wg_quick(const WgQuickFile &file, GatewayOptions &options) {
  options.config_file = file.path;
  options.name = stem_of(file.path);
  apply_wg_quick(file, options.links[0]);
}

std::string stem_of(const std::string &path) {
  std::string name = path.substr(path.rfind('/') + 1);
  size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

}  // namespace slipgate
