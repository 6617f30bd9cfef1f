// The command line of `slipgate gue`, and WireGuard's flags that ask for the same: `-k INSECURE -K GUE`.
#pragma once

#include <span>
#include <string>

#include "config/options.h"

namespace slipgate {

// Of links of GUE alone.
std::span<const OptionRow<LinkOptions>> gue_option_rows();
// Makes a link one of GUE, with its defaults.
void make_gue(LinkOptions &link);

// `slipgate gue [options]`.
GatewayCommand read_gue_command(std::span<const std::string> arguments);
std::string gue_help();

// The same link from WireGuard's flags (-b, -p, -a).
void apply_gue_flags(const WireGuardFlags &flags, LinkOptions &link);

}  // namespace slipgate
