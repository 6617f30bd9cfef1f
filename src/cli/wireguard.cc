// slipgate wireguard [CONF] [options]
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "cli/command.h"
#include "config/options.h"
#include "control/serve.h"

namespace slipgate::cli {

int run_wireguard(Words arguments) {
  GatewayCommand command = read_wireguard_command(arguments);
  if (command.help) {
    print(wireguard_help());
    return kDone;
  }
  print_notes(command.notes);
  if (!command.problems.empty()) return print_problems(command.problems);

  ServeHooks hooks;
  if (!command.options.config_file.empty()) {
    std::vector<std::string> again(arguments.begin(), arguments.end());
    hooks.reload = [again]() -> Result<GatewayOptions> {
      GatewayCommand fresh = read_wireguard_command(again);
      if (fresh.problems.empty()) return fresh.options;
      std::vector<std::string> lines;
      for (const Problem &problem : fresh.problems) lines.push_back(problem.to_string());
      return Error{0, fmt::format("{}", fmt::join(lines, "\n"))};
    };
  }
  return serve(std::move(command.options), std::move(hooks));
}

}  // namespace slipgate::cli
