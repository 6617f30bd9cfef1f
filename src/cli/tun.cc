// slipgate tun CONF [options]
#include "config/tun.h"
#include "cli/command.h"
#include "control/serve_tun.h"

namespace slipgate::cli {

int run_tun(Words arguments) {
  TunCommand command = read_tun_command(arguments);
  if (command.help) {
    print(tun_help());
    return kDone;
  }
  print_notes(command.notes);
  if (!command.problems.empty()) return print_problems(command.problems);
  ServeTunOptions options;
  options.tun = std::move(command.options);
  options.log_level = command.log_level;
  options.log_format = command.log_format;
  options.ready_fd = command.ready_fd;
  options.sandbox = command.sandbox;
  return serve_tun(options);
}

}  // namespace slipgate::cli
