// The options of link commands, as rows: what they are called, what they mean, and how they fill a GatewayOptions in.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/arguments.h"
#include "gateway/options.h"

namespace slipgate {

// Of every link command.
std::span<const OptionRow<GatewayOptions>> link_option_rows();

// A forward as one of the options local-forward, remote-forward, incoming-tcp, incoming-udp (or L, R, t, u) says it.
Result<Forward> parse_forward_option(std::string_view option, std::string_view spec);

// The single peer that `slipgate wireguard` takes as flags, as wgslirpy does.
struct WireGuardFlags {
  std::optional<std::string> private_key;
  std::optional<std::string> private_key_file;
  std::optional<std::string> peer_key;
  std::optional<std::string> peer_endpoint;
  std::optional<uint16_t> keepalive_interval;
  std::optional<Endpoint> bind;

  bool any() const {
    return private_key || private_key_file || peer_key || peer_endpoint || keepalive_interval || bind;
  }
};
std::span<const OptionRow<WireGuardFlags>> wireguard_option_rows();

// Puts the flags into options: the keys read and checked, the peer with AllowedIPs 0.0.0.0/0 and ::/0; or GUE.
void apply_wireguard_flags(const WireGuardFlags &flags, GatewayOptions &options, Problems &problems, Problems &notes);

// `-k INSECURE -K GUE`: wgslirpy's mode without encryption; `slipgate gue` is the same (config/gue.h).
bool asks_for_gue(const WireGuardFlags &flags);

// A command line and the file that it names, made into what a gateway needs.
struct GatewayCommand {
  GatewayOptions options;
  bool help = false;
  Problems problems;  // any: nothing may be started
  Problems notes;
};

// `slipgate wireguard [CONF] [options]`. The file first, then the options, which win. Called again for a reload.
GatewayCommand read_wireguard_command(std::span<const std::string> arguments);
std::string wireguard_help();

}  // namespace slipgate
