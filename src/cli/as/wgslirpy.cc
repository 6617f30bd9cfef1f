// slipgate as wgslirpy: its flags, and its exit code 1 for everything that is wrong with them.
#include "config/wgslirpy.h"

#include <cstdlib>

#include "cli/command.h"
#include "control/serve.h"

namespace slipgate::cli {

int run_as_wgslirpy(Words arguments) {
  GatewayCommand command = read_wgslirpy_command(arguments, getenv("RUST_LOG"));
  if (command.help) {
    print(wgslirpy_help());
    return kDone;
  }
  print_notes(command.notes);
  if (!command.problems.empty()) {
    print_problems(command.problems);
    return kFailed;
  }
  return serve(std::move(command.options));
}

}  // namespace slipgate::cli
