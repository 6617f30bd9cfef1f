#include "config/print_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>

#include "config/gue.h"
#include "config/run_file.h"
#include "config/values.h"

namespace slipgate {

namespace {

// Of this process, not of the gateway.
constexpr std::string_view kOfProcess = "ready-fd";
constexpr size_t kLongestNumber = 18;  // digits that a TOML integer has room for

bool is_number(std::string_view value) {
  if (value.empty() || value.size() > kLongestNumber || (value.size() > 1 && value.front() == '0')) return false;
  return std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
}

// A basic string of TOML, or an integer.
std::string toml_value(std::string_view value) {
  if (is_number(value)) return std::string(value);
  std::string text = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text + "\"";
}

// "socks5://HOST:PORT" of "socks5://user:password@HOST:PORT"; none: there was nothing to leave out.
std::optional<std::string> without_user(std::string_view value) {
  const size_t at = value.rfind('@'), scheme = value.rfind("://", at);
  if (at == std::string_view::npos || scheme == std::string_view::npos) return std::nullopt;
  return fmt::format("{}{}", value.substr(0, scheme + 3), value.substr(at + 1));
}

class Writer {
 public:
  void line(std::string_view text) { text_ += fmt::format("{}\n", text); }

  // Every option: what was said of it, or its default.
  void table(std::span<const Option> options, const SaidOptions &said) {
    for (const Option &option : options) {
      if (option.name == kOfProcess) continue;
      auto found = std::ranges::find(said, option.name, &SaidOption::name);
      if (found != said.end()) {
        option_line(option, found->values);
      } else {
        line(fmt::format("# {}: {}{}", key_of(option.name), option.help,
                         option.fallback.empty() ? "" : fmt::format(" (default {})", option.fallback)));
      }
    }
  }

  std::string take() { return std::move(text_); }

 private:
  void option_line(const Option &option, const std::vector<std::string> &values) {
    const std::string key = key_of(option.name);
    if (option.metavar.empty()) return line(key + " = true");
    if (option.secret) {
      line(fmt::format("# {} was given and is not printed; keep it in a file and name that with {}_file", key, key));
      return;
    }
    std::string list;
    for (std::string value : values) {
      if (option.metavar == "FILE" || option.metavar == "PATH") value = absolute(value);
      if (std::optional<std::string> known = option.name == "egress" ? without_user(value) : std::nullopt) {
        line(fmt::format("# {}: user and password are left out here", key));
        value = *known;
      }
      list += fmt::format("{}{}", list.empty() ? "" : ", ", toml_value(value));
    }
    line(values.size() == 1 ? fmt::format("{} = {}", key, list) : fmt::format("{} = [{}]", key, list));
  }

  static std::string absolute(const std::string &name) {
    if (name.empty() || name == "-") return name;
    std::error_code error;
    const std::filesystem::path path = std::filesystem::absolute(name, error);
    return error ? name : path.lexically_normal().string();
  }

  std::string text_;
};

void write_link(Writer &to, const SaidLink &said) {
  LinkDraft draft;
  if (said.kind == "gue") make_gue(draft.link);
  to.line("");
  to.line(fmt::format("[[{}]]", said.kind));
  to.table(link_table_options(said.kind, draft), said.options);
  for (const SaidOptions &peer : said.peers) {
    WireGuardPeerOptions scratch;
    to.line("");
    to.line("[[wireguard.peer]]");
    to.table(bind_rows(peer_table_rows(), scratch), peer);
  }
}

}  // namespace

std::string print_config(const GatewayCommand &command) {
  Writer to;
  GatewayOptions scratch;
  SaidOptions gateway = command.said.gateway;
  say(gateway, "name", command.options.name, false);
  to.line(
      "# The configuration in force, as `slipgate run FILE` reads it. Lines that begin with # are what was not said.");
  to.line("");
  to.table(bind_rows(gateway_option_rows(), scratch), gateway);
  for (const SaidLink &link : command.said.links) write_link(to, link);
  return to.take();
}

std::string print_default_config() {
  Writer to;
  GatewayOptions scratch;
  to.line("# Every key of a file for `slipgate run FILE`, with its default. A gateway needs at least one link.");
  to.line("");
  to.table(bind_rows(gateway_option_rows(), scratch), {});
  for (std::string_view kind : {"wireguard", "gue"}) {
    LinkDraft draft;
    if (kind == "gue") make_gue(draft.link);
    to.line("");
    to.line(fmt::format("# [[{}]]", kind));
    to.table(link_table_options(kind, draft), {});
    if (kind != "wireguard") continue;
    WireGuardPeerOptions peer;
    to.line("");
    to.line("# [[wireguard.peer]]");
    to.table(bind_rows(peer_table_rows(), peer), {});
  }
  return to.take();
}

}  // namespace slipgate
