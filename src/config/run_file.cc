#include "config/run_file.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "config/gue.h"
#include "config/values.h"
#include "config/wg_quick.h"
#include "crypto/x25519.h"

namespace slipgate {

namespace {

using DraftRow = OptionRow<LinkDraft>;
using PeerRow = OptionRow<WireGuardPeerOptions>;

constexpr std::string_view kWireGuard = "wireguard", kGue = "gue", kPeer = "peer";
constexpr size_t kLongestLinkName = 64;

const DraftRow kLinkRows[] = {
    {"name", 0, "NAME", "what the link is called in status, metrics, logs and captures",
     "its interface, its file's stem, or its kind", false,
     [](LinkDraft &d, std::string_view v) -> Result<void> {
       if (v.empty() || v.size() > kLongestLinkName) return Error{0, "no name; give one of 1 to 64 characters"};
       d.name = v;
       return {};
     }},
};

const DraftRow kWireGuardRows[] = {
    {"config", 0, "FILE", "a wg-quick file: key, port, addresses and peers", "", false,
     [](LinkDraft &d, std::string_view v) -> Result<void> {
       if (v.empty()) return Error{0, "empty; give the name of a wg-quick file"};
       d.config = v;
       return {};
     }},
};

Result<void> preshared_key(Result<wireguard::Key> key, WireGuardPeerOptions &peer) {
  if (!key) return key.error();
  peer.config.preshared_key = *key;
  return {};
}

const PeerRow kPeerRows[] = {
    {"name", 0, "NAME", "what the peer is called in status, metrics, logs and DNS", "", false,
     [](WireGuardPeerOptions &p, std::string_view v) -> Result<void> {
       if (v.empty() || v.size() > kLongestLinkName) return Error{0, "no name; give one of 1 to 64 characters"};
       p.config.name = v;
       return {};
     }},
    {"public-key", 0, "KEY", "the peer's public key", "", false,
     [](WireGuardPeerOptions &p, std::string_view v) -> Result<void> {
       Result<wireguard::PublicKey> key = parse_public_key(v, "");
       if (!key) return Error{kSaysItself, key.error().text};
       p.config.public_key = *key;
       return {};
     }},
    {"preshared-key", 0, "KEY", "a key that both sides know", "", false,
     [](WireGuardPeerOptions &p, std::string_view v) -> Result<void> {
       Result<void> read = preshared_key(parse_key(v, "KEY", true), p);
       return read ? read : Error{kSaysItself, read.error().text};
     },
     true},
    {"preshared-key-file", 0, "FILE", "the file that holds it", "", false,
     [](WireGuardPeerOptions &p, std::string_view v) { return preshared_key(read_key_file(std::string(v)), p); }},
    {"allowed-ips", 0, "PREFIX", "inside addresses that are the peer's", "none", true,
     [](WireGuardPeerOptions &p, std::string_view v) -> Result<void> {
       for (std::string_view item : split(v, ',')) {
         Result<IpPrefix> prefix = parse_prefix(item);
         if (!prefix) return prefix.error();
         p.config.allowed_ips.push_back(*prefix);
       }
       return {};
     }},
    {"endpoint", 0, "HOST:PORT", "where the peer is", "where it was last heard of", false,
     [](WireGuardPeerOptions &p, std::string_view v) { return parse_peer_endpoint(v, p); }},
    {"persistent-keepalive", 0, "S", "keepalive towards the peer, in seconds", "off", false,
     [](WireGuardPeerOptions &p, std::string_view v) -> Result<void> {
       Result<uint16_t> read = parse_keepalive(v);
       if (!read) return read.error();
       p.config.persistent_keepalive = *read;
       return {};
     }},
};

int line_of(const toml::source_region &source) {
  return static_cast<int>(source.begin.line);
}

void append(std::vector<Option> &to, std::vector<Option> more) {
  for (Option &option : more) to.push_back(std::move(option));
}

// "10.0.0.1, port 51820" of what listens at one place, for the comparison of two.
bool meet(const Endpoint &a, const Endpoint &b) {
  if (a.port == 0 || a.port != b.port) return false;
  if (a.address == IpAddress() || b.address == IpAddress()) return true;  // both families
  if (a.address.is_v4() != b.address.is_v4()) return false;
  return a.address == b.address || a.address.is_unspecified() || b.address.is_unspecified();
}

class Reader {
 public:
  explicit Reader(const std::string &path) : path_(path) {
    const size_t slash = path.rfind('/');
    if (slash != std::string::npos) folder_ = path.substr(0, slash + 1);
  }

  GatewayCommand read(std::string_view text) {
    command_.options.config_file = path_;
    command_.options.name = stem_of(path_);
    command_.options.links.clear();
    try {
      read_gateway(toml::parse(text, path_));
    } catch (const toml::parse_error &error) {
      problem(line_of(error.source()), fmt::format("no TOML: {}", shown(error.description())));
    }
    std::ranges::stable_sort(command_.problems, {},
                             [this](const Problem &each) { return each.file == path_ ? each.line : 0; });
    return std::move(command_);
  }

 private:
  struct Place {
    int line = 0;
    size_t link = 0;
  };

  void problem(int line, std::string text) { command_.problems.push_back({path_, line, std::move(text)}); }

  void read_gateway(const toml::table &root) {
    constexpr std::string_view kKinds[] = {kWireGuard, kGue};
    read_table(root, "", bind_rows(gateway_option_rows(), command_.options), kKinds, command_.said.gateway);
    std::vector<std::pair<std::string_view, const toml::table *>> tables;
    for (std::string_view kind : kKinds) {
      for (const toml::table *table : tables_of(root, kind, fmt::format("[[{}]]", kind)))
        tables.push_back({kind, table});
    }
    std::ranges::stable_sort(tables, {}, [](const auto &each) { return line_of(each.second->source()); });
    for (auto [kind, table] : tables) read_link(kind, *table);
    if (tables.empty() && command_.problems.empty()) {
      problem(0, "no links; begin one with [[wireguard]] or [[gue]]");
    }
    if (tables.size() > kMostLinks) problem(0, fmt::format("{} links; there can be {}", tables.size(), kMostLinks));
  }

  // The tables of an array, which has to be one.
  std::vector<const toml::table *> tables_of(const toml::table &parent, std::string_view key,
                                             std::string_view written) {
    std::vector<const toml::table *> tables;
    const toml::node *node = parent.get(key);
    if (!node) return tables;
    const toml::array *array = node->as_array();
    if (!array) {
      problem(line_of(node->source()), fmt::format("{}: one of several is written {}", key, written));
      return tables;
    }
    for (const toml::node &each : *array) {
      if (const toml::table *table = each.as_table()) {
        tables.push_back(table);
      } else {
        problem(line_of(each.source()), fmt::format("{}: no table; it is written {}", key, written));
      }
    }
    return tables;
  }

  void read_link(std::string_view kind, const toml::table &table) {
    const int line = line_of(table.source());
    const std::string written = fmt::format("[[{}]]", kind);
    LinkDraft draft;
    SaidLink said{std::string(kind), {}, {}};
    const size_t before = command_.problems.size();
    if (kind == kGue) make_gue(draft.link);
    // The file first: what stands here wins.
    if (const toml::node *config = kind == kWireGuard ? table.get("config") : nullptr; config && config->is_string()) {
      read_wg_quick_of(draft, from_folder(config->as_string()->get()));
    }
    const std::vector<Option> options = link_table_options(kind, draft);
    const std::string_view children[] = {kPeer};
    read_table(table, written + " ", options, std::span(children).first(kind == kWireGuard ? 1 : 0), said.options);
    if (kind == kWireGuard) read_wireguard(draft, table, line, command_.problems.size() == before, said);
    keep(std::move(draft), line, kind);
    command_.said.links.push_back(std::move(said));
  }

  void read_wg_quick_of(LinkDraft &draft, const std::string &path) {
    WgQuickFile file = load_wg_quick(path);
    for (Problem &each : file.problems) command_.problems.push_back(std::move(each));
    for (Problem &each : file.notes) command_.notes.push_back(std::move(each));
    apply_wg_quick(file, draft.link);
  }

  void read_wireguard(LinkDraft &draft, const toml::table &table, int line, bool good, SaidLink &said) {
    if (draft.flags.insecure || draft.flags.gue)
      return problem(line, "[[wireguard]]: without encryption it is [[gue]]");
    Problems of_flags;
    apply_wireguard_flags(draft.flags, draft.link, of_flags);
    for (const Problem &each : of_flags) problem(line, "[[wireguard]]: " + each.text);
    for (Problem &each : draft.flags.notes) command_.notes.push_back(std::move(each));
    WireGuardLinkOptions &wireguard = *draft.link.wireguard();
    if (good && wireguard.private_key.is_zero()) {
      problem(line,
              "[[wireguard]]: no private key; give private_key_file (`slipgate genkey` makes one), or a wg-quick file "
              "with config");
    }
    std::vector<int> lines(wireguard.peers.size(), line);
    for (const toml::table *each : tables_of(table, kPeer, "[[wireguard.peer]]")) {
      lines.push_back(line_of(each->source()));
      WireGuardPeerOptions &peer = wireguard.peers.emplace_back();
      const size_t before = command_.problems.size();
      read_table(*each, "[[wireguard.peer]] ", bind_rows(peer_table_rows(), peer), {}, said.peers.emplace_back());
      if (command_.problems.size() == before && peer.config.public_key == wireguard::PublicKey{}) {
        problem(lines.back(),
                "[[wireguard.peer]]: no public_key; add the peer's (`slipgate pubkey` makes it from the private)");
      }
    }
    check_peers(wireguard, lines);
  }

  void check_peers(const WireGuardLinkOptions &wireguard, const std::vector<int> &lines) {
    std::map<wireguard::PublicKey, int> keys;
    if (!wireguard.private_key.is_zero()) keys[public_key_of(wireguard.private_key)] = 0;
    for (size_t i = 0; i < wireguard.peers.size(); i++) {
      const wireguard::PeerConfig &peer = wireguard.peers[i].config;
      auto [first, fresh] = keys.try_emplace(peer.public_key, lines[i]);
      if (!fresh && peer.public_key != wireguard::PublicKey{}) {
        problem(lines[i],
                first->second == 0
                    ? "public_key: this is the gateway's own; give the peer's"
                    : fmt::format("public_key: the same as in line {}; every peer has its own key", first->second));
      }
      check_prefixes(peer.allowed_ips, lines[i]);
    }
  }

  // One prefix has one client, of whatever link. Everywhere (length 0) is nobody's more than another's.
  void check_prefixes(const std::vector<IpPrefix> &prefixes, int line) {
    for (const IpPrefix &prefix : prefixes) {
      const Place here{line, command_.options.links.size()};
      auto [first, fresh] = prefixes_.try_emplace(prefix, here);
      const bool of_another = first->second.line != line || first->second.link != here.link;
      if (fresh || !of_another || (prefix.length == 0 && first->second.link != here.link)) continue;
      problem(line, fmt::format(
                        "allowed_ips {}: already given in line {}; one prefix has one peer, take it out of one of them",
                        prefix.to_string(), first->second.line));
    }
  }

  // A link that has been read: what it must not share with another.
  void keep(LinkDraft draft, int line, std::string_view kind) {
    LinkOptions &link = draft.link;
    if (link.gue()) check_prefixes(link.gue()->allowed_ips, line);
    const Endpoint &listen = link.gue() ? link.gue()->listen : link.wireguard()->listen;
    for (size_t i = 0; i < command_.options.links.size(); i++) {
      const LinkOptions &other = command_.options.links[i];
      if (meet(listen, other.gue() ? other.gue()->listen : other.wireguard()->listen)) {
        problem(line,
                fmt::format("[[{}]]: UDP {} is the address of the link in line {} already; give another port with "
                            "bind_ip_port",
                            kind, listen.to_string(), lines_[i]));
      }
      if (!link.interface.empty() && link.interface == other.interface) {
        problem(line, fmt::format("interface {}: the link in line {} has this name", link.interface, lines_[i]));
      }
      if (!draft.name.empty() && draft.name == other.name) {
        problem(line, fmt::format("name {}: the link in line {} has this name", draft.name, lines_[i]));
      }
    }
    link.name = name_for(draft, kind);
    command_.options.links.push_back(std::move(link));
    lines_.push_back(line);
  }

  std::string name_for(const LinkDraft &draft, std::string_view kind) const {
    if (!draft.name.empty()) return draft.name;
    std::string wanted(kind);
    if (!draft.config.empty()) wanted = stem_of(draft.config);
    if (!draft.link.interface.empty()) wanted = draft.link.interface;
    std::string name = wanted;
    auto taken = [&] {
      return std::ranges::any_of(command_.options.links, [&](const LinkOptions &l) { return l.name == name; });
    };
    for (int next = 2; taken(); next++) name = fmt::format("{}-{}", wanted, next);
    return name;
  }

  // --- tables and values
  // -----------------------------------------------------------------------------------------------

  // Applies what the table says by the options. Keys named in `children` are read by the caller.
  void read_table(const toml::table &table, std::string_view where, const std::vector<Option> &options,
                  std::span<const std::string_view> children, SaidOptions &said) {
    // In the options' order, as on the command line.
    for (const Option &option : options) {
      if (const toml::node *node = table.get(key_of(option.name))) read_option(option, *node, said);
    }
    std::vector<std::string> known;
    for (const Option &option : options) known.push_back(key_of(option.name));
    for (std::string_view child : children) known.emplace_back(child);
    const std::vector<std::string_view> names(known.begin(), known.end());
    for (const auto &[key, node] : table) {
      if (std::ranges::find(known, key.str()) != known.end()) continue;
      problem(line_of(key.source()),
              fmt::format("{}{}: unknown key{}", where, shown(key.str()), did_you_mean(key.str(), names)));
    }
  }

  void read_option(const Option &option, const toml::node &node, SaidOptions &said) {
    const std::string key = key_of(option.name);
    const int line = line_of(node.source());
    if (option.metavar.empty()) {
      const toml::value<bool> *flag = node.as_boolean();
      if (!flag) return problem(line, fmt::format("{}: give true or false", key));
      if (flag->get()) apply(option, "", line, said);
      return;
    }
    const toml::array *array = node.as_array();
    if (!array) return read_value(option, node, said);
    if (!option.repeats)
      return problem(line, fmt::format("{}: takes one value, not an array; give {}", key, option.metavar));
    for (const toml::node &each : *array) read_value(option, each, said);
  }

  void read_value(const Option &option, const toml::node &node, SaidOptions &said) {
    const int line = line_of(node.source());
    if (const toml::value<std::string> *text = node.as_string()) {
      const bool file = option.metavar == "FILE" || option.metavar == "PATH";
      return apply(option, file ? from_folder(text->get()) : text->get(), line, said);
    }
    if (const toml::value<int64_t> *number = node.as_integer()) {
      return apply(option, std::to_string(number->get()), line, said);
    }
    problem(line, fmt::format("{}: neither a string nor a whole number; give {}{}", key_of(option.name), option.metavar,
                              option.repeats ? " or an array of such" : ""));
  }

  void apply(const Option &option, const std::string &value, int line, SaidOptions &said) {
    Result<void> applied = option.apply(value);
    if (applied) return say(said, option.name, option.secret ? std::string() : value, option.repeats);
    const std::string key = key_of(option.name);
    problem(line, applied.error().code == kSaysItself || value.empty()
                      ? fmt::format("{}: {}", key, applied.error().text)
                      : fmt::format("{} = {}: {}", key, shown(value), applied.error().text));
  }

  // Names of files count from the folder of the file that names them; - is standard output.
  std::string from_folder(const std::string &name) const {
    return name.empty() || name == "-" || name.front() == '/' ? name : folder_ + name;
  }

  const std::string path_;
  std::string folder_;  // with a slash at its end; empty: the current one
  GatewayCommand command_;
  std::vector<int> lines_;  // of the links that have been read
  std::map<IpPrefix, Place> prefixes_;
};

std::vector<Option> run_options(GatewayCommand &command) {
  std::vector<Option> options = bind_rows(gateway_option_rows(), command.options);
  append(options, bind_rows(command_option_rows(), command));
  return options;
}

bool has_secrets(const Said &said) {
  auto secret = [](const SaidOptions &options) {
    return std::ranges::any_of(options, [](const SaidOption &option) {
      return option.name == "private-key" || option.name == "preshared-key" || option.name == "egress";
    });
  };
  return secret(said.gateway) || std::ranges::any_of(said.links, [&](const SaidLink &link) {
           return secret(link.options) || std::ranges::any_of(link.peers, secret);
         });
}

}  // namespace

std::vector<Option> link_table_options(std::string_view kind, LinkDraft &draft) {
  std::vector<Option> options = bind_rows(std::span<const DraftRow>(kLinkRows), draft);
  if (kind == kGue) {
    append(options, bind_rows(gue_option_rows(), draft.link));
  } else {
    append(options, bind_rows(std::span<const DraftRow>(kWireGuardRows), draft));
    append(options, bind_rows(wireguard_option_rows(), draft.flags));
    append(options, bind_rows(wireguard_link_option_rows(), draft.link));
  }
  append(options, bind_rows(link_option_rows(), draft.link));
  return options;
}
std::span<const PeerRow> peer_table_rows() {
  return kPeerRows;
}

GatewayCommand read_run_file(std::string_view text, const std::string &path) {
  return Reader(path).read(text);
}

GatewayCommand load_run_file(const std::string &path) {
  Result<std::string> text = read_whole_file(path);
  if (!text) {
    GatewayCommand command;
    command.problems.push_back({path, 0, text.error().text});
    return command;
  }
  GatewayCommand command = read_run_file(*text, path);
  wipe({reinterpret_cast<uint8_t *>(text->data()), text->size()});
  std::optional<std::string> open = has_secrets(command.said) ? readable_by_all(path) : std::nullopt;
  if (open) command.notes.push_back({path, 0, *open});
  check_rates(command.options, command.problems);
  return command;
}

bool is_run_file(const std::string &path) {
  if (path.ends_with(".toml")) return true;
  if (path.ends_with(".conf")) return false;
  // wg-quick's sections have one bracket.
  Result<std::string> text = read_whole_file(path);
  return text && (text->starts_with("[[") || text->find("\n[[") != std::string::npos);
}

GatewayCommand read_run_command(std::span<const std::string> arguments) {
  GatewayCommand scratch;
  const Arguments first = parse_arguments(run_options(scratch), arguments, 1);
  if (first.help || first.words.empty()) {
    scratch.help = first.help;
    scratch.problems = first.problems;
    if (!first.help && first.problems.empty()) {
      scratch.problems.push_back({"", 0, "run: no file; give a TOML file (`slipgate run --help` says what is in it)"});
    }
    return scratch;
  }
  GatewayCommand command = load_run_file(first.words[0]);
  command.problems.insert(command.problems.begin(), first.problems.begin(), first.problems.end());
  say_arguments(command.said, parse_arguments(run_options(command), arguments, 1).said);
  return command;
}

std::string run_help() {
  GatewayCommand command;
  LinkDraft draft, gue;
  make_gue(gue.link);
  WireGuardPeerOptions peer;
  return fmt::format(
      "slipgate run FILE [options]: any number of links of any kind in one process, under one policy\n\n"
      "FILE is TOML. Each option is a key at its top, with _ for - in its name; those of the command line win.\n"
      "Each link is a [[wireguard]] or [[gue]] table with keys of its own, see below.\n\n"
      "Options:\n{}\n[[wireguard]]\n{}\n[[wireguard.peer]]\n{}\n[[gue]]\n{}",
      help_table(run_options(command)), help_keys(link_table_options(kWireGuard, draft)),
      help_keys(bind_rows(peer_table_rows(), peer)), help_keys(link_table_options(kGue, gue)));
}

}  // namespace slipgate
