#include "cli/serve_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "config/print_config.h"
#include "control/serve.h"

namespace slipgate::cli {

int serve_command(Words arguments, ReadCommand read, std::string (*help)()) {
  GatewayCommand command = read(arguments);
  if (command.help) {
    print(help());
    return kDone;
  }
  print_notes(command.notes);
  if (!command.problems.empty()) return print_problems(command.problems);
  if (command.print_config) {
    print(print_config(command));
    return kDone;
  }
  ServeHooks hooks;
  if (!command.options.config_file.empty()) {
    hooks.reload = [read, again = std::vector<std::string>(arguments.begin(), arguments.end()),
                    said = command.said.gateway]() mutable -> Result<Reloaded> {
      GatewayCommand fresh = read(again);
      if (!fresh.problems.empty()) {
        std::vector<std::string> lines;
        for (const Problem &problem : fresh.problems) lines.push_back(problem.to_string());
        return Error{0, fmt::format("{}", fmt::join(lines, "\n"))};
      }
      Reloaded reloaded{std::move(fresh.options), keys_for_restart(said, fresh.said.gateway)};
      return reloaded;
    };
  }
  return serve(std::move(command.options), std::move(hooks));
}

}  // namespace slipgate::cli
