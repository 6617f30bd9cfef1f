// The command line of wgslirpy: its flags and defaults, and what its users expect of the policy.
#pragma once

#include <span>
#include <string>

#include "config/options.h"

namespace slipgate {

// One peer with AllowedIPs 0.0.0.0/0 and ::/0; the host's own addresses may be reached. `rust_log`: the value of
// $RUST_LOG, or null.
GatewayCommand read_wgslirpy_command(std::span<const std::string> arguments, const char *rust_log);
std::string wgslirpy_help();

}  // namespace slipgate
