#include "config/wgslirpy.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/values.h"

namespace slipgate {

namespace {

// wgslirpy's own defaults, where they are not ours.
constexpr size_t kTcpBufferSize = 65535;
constexpr size_t kTransmitQueueCapacity = 256;

// The options that wgslirpy has, of those that every link command has; here with its defaults.
struct SharedRow {
  std::string_view name, fallback;
};
constexpr SharedRow kShared[] = {
    {"dns", ""},
    {"pingable", ""},
    {"mtu", "1420"},
    {"tcp-buffer-size", "65535"},
    {"transmit-queue-capacity", "256"},
    {"incoming-udp", ""},
    {"incoming-tcp", ""},
};

std::vector<Option> rows(WireGuardFlags &flags, GatewayOptions &options) {
  std::vector<Option> all = bind_rows(wireguard_option_rows(), flags);
  for (Option &option : all) option.fallback = {};
  std::vector<Option> link = single_link_options(options);
  for (const SharedRow &shared : kShared) {
    Option option = *std::ranges::find(link, shared.name, &Option::name);
    option.fallback = shared.fallback;
    all.push_back(std::move(option));
  }
  return all;
}

// "debug", or the first level in a list of directives like "wgslirpy=debug,warn".
LogLevel level_of(std::string_view rust_log) {
  constexpr std::pair<std::string_view, LogLevel> kLevels[] = {{"error", LogLevel::error},
                                                               {"warn", LogLevel::warn},
                                                               {"info", LogLevel::info},
                                                               {"debug", LogLevel::debug},
                                                               {"trace", LogLevel::trace}};
  for (std::string_view directive : split(rust_log, ',')) {
    std::string_view word = directive.substr(directive.rfind('=') + 1);
    for (auto [name, level] : kLevels) {
      if (same_word(word, name)) return level;
    }
  }
  return LogLevel::info;
}

}  // namespace

GatewayCommand read_wgslirpy_command(std::span<const std::string> arguments, const char *rust_log) {
  GatewayCommand command;
  WireGuardFlags flags;
  GatewayOptions &options = command.options;
  options.name = "wgslirpy";
  options.tcp_buffer_size = kTcpBufferSize;
  options.links[0].transmit_queue_capacity = kTransmitQueueCapacity;
  options.policy.enable_host = true;
  if (rust_log) options.log_level = level_of(rust_log);

  Arguments parsed = parse_arguments(rows(flags, options), arguments, 0);
  command.help = parsed.help;
  command.problems = parsed.problems;
  if (command.help || !command.problems.empty()) return command;

  std::string missing;
  if (!flags.peer_key && !flags.gue) missing += "\n    --peer-key";
  if (!flags.bind) missing += "\n    --bind-ip-port";
  if (!missing.empty()) command.problems.push_back({"", 0, "Required options not provided:" + missing});
  if ((flags.private_key || flags.insecure) == flags.private_key_of_file.has_value()) {
    command.problems.push_back({"", 0, "Set exactly one of --private-key or --private-key-file"});
  }
  if (command.problems.empty()) apply_wireguard_flags(flags, options.links[0], command.problems);
  command.notes = flags.notes;
  return command;
}

std::string wgslirpy_help() {
  WireGuardFlags flags;
  GatewayOptions options;
  return fmt::format(
      "Usage: wgslirpy [-k <private-key>] [-f <private-key-file>] -K <peer-key> [-p <peer-endpoint>] "
      "[-a <keepalive-interval>] -b <bind-ip-port> [-D <dns>] [-P <pingable>] [--mtu <mtu>] "
      "[--tcp-buffer-size <tcp-buffer-size>] [--transmit-queue-capacity <transmit-queue-capacity>] "
      "[-u <incoming-udp...>] [-t <incoming-tcp...>]\n\n"
      "slipgate in wgslirpy's place: one WireGuard peer in, ordinary sockets out.\n\nOptions:\n{}",
      help_table(rows(flags, options)));
}

}  // namespace slipgate
