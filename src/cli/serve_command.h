// What every command that serves does with its command line: say what is wrong with it, print what it amounts to, or
// serve, and read it again for a reload.
#pragma once

#include <string>

#include "cli/command.h"
#include "config/options.h"

namespace slipgate::cli {

using ReadCommand = GatewayCommand (*)(Words arguments);

int serve_command(Words arguments, ReadCommand read, std::string (*help)());

}  // namespace slipgate::cli
