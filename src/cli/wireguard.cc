// slipgate wireguard [CONF] [options]
#include "cli/command.h"
#include "cli/serve_command.h"
#include "config/options.h"

namespace slipgate::cli {

int run_wireguard(Words arguments) {
  return serve_command(arguments, read_wireguard_command, wireguard_help);
}

}  // namespace slipgate::cli
