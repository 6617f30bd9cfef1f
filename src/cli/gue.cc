// slipgate gue [options]
#include "config/gue.h"

#include "cli/command.h"
#include "control/serve.h"

namespace slipgate::cli {

int run_gue(Words arguments) {
  GatewayCommand command = read_gue_command(arguments);
  if (command.help) {
    print(gue_help());
    return kDone;
  }
  print_notes(command.notes);
  if (!command.problems.empty()) return print_problems(command.problems);
  return serve(std::move(command.options));
}

}  // namespace slipgate::cli
