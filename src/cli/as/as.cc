// slipgate as PROGRAM ARGS...: another program's command line.
#include <fmt/format.h>

#include "cli/command.h"
#include "config/values.h"

namespace slipgate::cli {

namespace {

struct Program {
  std::string_view name;
  std::string_view summary;
  int (*run)(Words arguments);
};

const Program kPrograms[] = {
    {"wgslirpy", "one WireGuard peer in, ordinary sockets out", run_as_wgslirpy},
    {"wireguard-go", "a WireGuard interface over a TUN device, for wg and wg-quick", run_as_wireguard_go},
};

}  // namespace

int run_as(Words arguments) {
  std::string text = "slipgate as PROGRAM ARGS...: takes another program's command line\n\n";
  std::vector<std::string_view> names;
  for (const Program &program : kPrograms) {
    if (!arguments.empty() && arguments[0] == program.name) return program.run(arguments.subspan(1));
    text += fmt::format("  {:<16} {}\n", program.name, program.summary);
    names.push_back(program.name);
  }
  if (arguments.empty()) return fail("as: no program\n\n" + text, kUsage);
  if (arguments[0] == "--help" || arguments[0] == "-h") {
    print(text);
    return kDone;
  }
  return fail(fmt::format("as {}: no program that we stand in for{}; `slipgate as --help` lists them", arguments[0],
                          did_you_mean(arguments[0], names)),
              kUsage);
}

}  // namespace slipgate::cli
