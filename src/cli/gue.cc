// slipgate gue [options]
#include "config/gue.h"

#include "cli/command.h"
#include "cli/serve_command.h"

namespace slipgate::cli {

int run_gue(Words arguments) {
  return serve_command(arguments, read_gue_command, gue_help);
}

}  // namespace slipgate::cli
