// slipgate run FILE [options]
#include "config/run_file.h"

#include "cli/command.h"
#include "cli/serve_command.h"

namespace slipgate::cli {

int run_run(Words arguments) {
  return serve_command(arguments, read_run_command, run_help);
}

}  // namespace slipgate::cli
