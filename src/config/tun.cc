#include "config/tun.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/values.h"
#include "config/wg_quick.h"

namespace slipgate {

namespace {

constexpr size_t kLongestInterfaceName = 15;  // IFNAMSIZ - 1

Result<void> set_number(std::string_view value, uint64_t low, uint64_t high, auto &field) {
  Result<uint64_t> read = parse_number(value, low, high);
  if (!read) return read.error();
  field = static_cast<std::remove_reference_t<decltype(field)>>(*read);
  return {};
}

Result<void> set_table(std::string_view value, TunOptions &options) {
  if (value == "auto") {
    options.table = TunOptions::Table::automatic;
  } else if (value == "off") {
    options.table = TunOptions::Table::off;
  } else {
    if (Result<void> read = set_number(value, 1, UINT32_MAX, options.table_number); !read) {
      return Error{0, "neither auto, off nor a table's number"};
    }
    options.table = TunOptions::Table::numbered;
  }
  return {};
}

const OptionRow<TunCommand> kRows[] = {
    {"interface", 'i', "NAME", "what the interface is called", "the file's stem", false,
     [](TunCommand &c, std::string_view v) -> Result<void> {
       if (!is_interface_name(v)) return Error{0, "no interface name; give 1 to 15 letters, digits or _=+.-"};
       c.options.interface = v;
       return {};
     }},
    {"mtu", 0, "BYTES", "largest packet on the interface", "1420", false,
     [](TunCommand &c, std::string_view v) {
       return set_number(v, kSmallestMtu, kLargestMtu, c.options.wireguard.mtu);
     }},
    {"table", 0, "TABLE",
     "the routing table that gets routes to the peers' AllowedIPs: auto, off, or a number; auto puts a default route "
     "into a table of its own, as wg-quick does",
     "auto", false, [](TunCommand &c, std::string_view v) { return set_table(v, c.options); }},
    {"fwmark", 0, "N", "mark of the UDP socket's datagrams", "off, or what a default route needs", false,
     [](TunCommand &c, std::string_view v) -> Result<void> {
       uint32_t mark = 0;
       Result<void> read = set_number(v, 0, UINT32_MAX, mark);
       if (read) c.options.mark = mark;
       return read;
     }},
    {"transmit-queue-capacity", 0, "PACKETS", "packets queued towards the peers", "1024", false,
     [](TunCommand &c, std::string_view v) {
       return set_number(v, 1, 1 << 20, c.options.wireguard.transmit_queue_capacity);
     }},
    {"log-level", 0, "LEVEL", "error, warn, info, debug or trace; to stderr", "info", false,
     [](TunCommand &c, std::string_view v) -> Result<void> {
       constexpr std::pair<std::string_view, LogLevel> kLevels[] = {{"error", LogLevel::error},
                                                                    {"warn", LogLevel::warn},
                                                                    {"info", LogLevel::info},
                                                                    {"debug", LogLevel::debug},
                                                                    {"trace", LogLevel::trace}};
       for (auto [name, level] : kLevels) {
         if (name != v) continue;
         c.log_level = level;
         return {};
       }
       return Error{0, "not one of error, warn, info, debug, trace"};
     }},
    {"log-format", 0, "FORMAT", "text or json", "text", false,
     [](TunCommand &c, std::string_view v) -> Result<void> {
       if (v != "text" && v != "json") return Error{0, "not one of text, json"};
       c.log_format = v == "json" ? LogFormat::json : LogFormat::text;
       return {};
     }},
    {"sandbox", 0, "on|off", "after start: no new privileges, no other system calls or files than are needed", "on",
     false,
     [](TunCommand &c, std::string_view v) -> Result<void> {
       if (v != "on" && v != "off") return Error{0, "not one of on, off"};
       c.sandbox = v == "on";
       return {};
     }},
    {"ready-fd", 0, "N", "write one line to this descriptor when serving (NOTIFY_SOCKET is honoured too)", "", false,
     [](TunCommand &c, std::string_view v) -> Result<void> {
       int descriptor = 0;
       Result<void> read = set_number(v, 0, 1 << 20, descriptor);
       if (read) c.ready_fd = descriptor;
       return read;
     }},
};

Arguments parse(std::span<const std::string> arguments, TunCommand &command) {
  return parse_arguments(bind_rows(std::span<const OptionRow<TunCommand>>(kRows), command), arguments, 1);
}

}  // namespace

bool is_interface_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestInterfaceName && name != "." && name != ".." &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("_=+.-").find(c) != std::string_view::npos;
         });
}

TunCommand read_tun_command(std::span<const std::string> arguments) {
  TunCommand command;
  TunCommand scratch;
  Arguments first = parse(arguments, scratch);
  if (first.help) {
    command.help = true;
    return command;
  }
  command.problems = first.problems;
  if (first.words.empty()) {
    if (command.problems.empty()) command.problems.push_back({"", 0, "tun: no configuration; give a wg-quick file"});
    return command;
  }
  WgQuickFile file = load_wg_quick(first.words[0], WgQuickUse::interface);
  command.problems.insert(command.problems.end(), file.problems.begin(), file.problems.end());
  command.notes = file.notes;
  if (!file.dns.empty() || !file.search_domains.empty()) {
    command.notes.push_back({file.path, 0, "DNS: no effect here; wg-quick, or resolvectl, tells this machine"});
  }
  TunOptions &options = command.options;
  options.interface = stem_of(file.path);
  options.wireguard.private_key = file.private_key;
  options.wireguard.listen = Endpoint{IpAddress(), file.listen_port.value_or(0)};
  options.wireguard.peers = file.peers;
  options.mark = file.mark;
  if (!file.table.empty() && !set_table(file.table, options)) return command;  // cannot be: the reader looked at it
  if (file.mtu) options.wireguard.mtu = *file.mtu;
  for (const InterfaceAddress &own : file.addresses) options.addresses.push_back({own.address, own.length});
  parse(arguments, command);
  if (!is_interface_name(options.interface)) {
    command.problems.push_back(
        {"", 0, fmt::format("'{}' is no interface name; give one with --interface", options.interface)});
  }
  return command;
}

std::string tun_help() {
  TunCommand command;
  return fmt::format(
      "slipgate tun CONF [options]: a WireGuard interface over a TUN device\n\n"
      "CONF is a wg-quick file; its addresses, MTU and routes are set. Needs CAP_NET_ADMIN in this network namespace.\n"
      "`slipgate as wireguard-go NAME` makes an interface alone, for wg(8) and wg-quick(8).\n\nOptions:\n{}",
      help_table(bind_rows(std::span<const OptionRow<TunCommand>>(kRows), command)));
}

}  // namespace slipgate
