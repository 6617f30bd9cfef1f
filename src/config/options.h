// The options of link commands, as rows: what they are called, what they mean, and how they fill a GatewayOptions in.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/arguments.h"
#include "config/said.h"
#include "gateway/options.h"

namespace slipgate {

// Of every command that serves; about the gateway as a whole.
std::span<const OptionRow<GatewayOptions>> gateway_option_rows();
// About one link, of whatever kind.
std::span<const OptionRow<LinkOptions>> link_option_rows();
// Of WireGuard's alone.
std::span<const OptionRow<LinkOptions>> wireguard_link_option_rows();
// Both of the first two, for a command that has one link.
std::vector<Option> single_link_options(GatewayOptions &options);

// A forward as one of the options local-forward, remote-forward, incoming-tcp, incoming-udp (or L, R, t, u) says it.
Result<Forward> parse_forward_option(std::string_view option, std::string_view spec);

// The key and the single peer that `slipgate wireguard` takes as flags, as wgslirpy does.
struct WireGuardFlags {
  bool insecure = false,
       gue = false;  // -k INSECURE, -K GUE: wgslirpy's mode without encryption, which `slipgate gue` is
  std::optional<wireguard::Key> private_key, private_key_of_file;
  std::optional<wireguard::PublicKey> peer_key;
  std::optional<WireGuardPeerOptions> peer_endpoint;  // its endpoint counts
  std::optional<uint16_t> keepalive_interval;
  std::optional<Endpoint> bind;
  Problems notes;

  bool any() const {
    return insecure || gue || private_key || private_key_of_file || peer_key || peer_endpoint || keepalive_interval ||
           bind;
  }
};
std::span<const OptionRow<WireGuardFlags>> wireguard_option_rows();

// Puts the flags into a link: its key, the peer with AllowedIPs 0.0.0.0/0 and ::/0; or makes it one of GUE.
void apply_wireguard_flags(const WireGuardFlags &flags, LinkOptions &link, Problems &problems);

// `--rate` names peers that there are.
void check_rates(const GatewayOptions &options, Problems &problems);

// A command line and the file that it names, made into what a gateway needs.
struct GatewayCommand {
  GatewayOptions options;
  Said said;
  bool help = false;
  bool print_config = false;  // instead of serving
  Problems problems;          // any: nothing may be started
  Problems notes;
};

// Of every command that serves, without being about the gateway.
std::span<const OptionRow<GatewayCommand>> command_option_rows();
// Adds what a command line said of the gateway and of its last link.
void say_arguments(Said &said, const SaidOptions &given);

// The keys of a gateway that differ and that a reload does not change.
std::vector<std::string> keys_for_restart(const SaidOptions &was, const SaidOptions &is);

// `slipgate wireguard [CONF] [options]`. The file first, then the options, which win. Called again for a reload.
GatewayCommand read_wireguard_command(std::span<const std::string> arguments);
std::string wireguard_help();

}  // namespace slipgate
