// TOML files of `slipgate run`: any bytes are read to a gateway or to problems; what reads well and has no secrets is
// printed and reads well again.
#include "config/print_config.h"
#include "config/run_file.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  GatewayCommand command = read_run_file(text_of({data, size}), "/f.toml");
  for (const Problem &problem : command.problems) {
    if (problem.text.empty() || problem.line < 0) __builtin_trap();
  }
  if (!command.problems.empty()) return 0;
  if (command.options.links.empty() || command.options.links.size() != command.said.links.size()) __builtin_trap();
  const std::string printed = print_config(command);
  if (printed.find("is not printed") != std::string::npos) return 0;
  const GatewayCommand again = read_run_file(printed, "/f.toml");
  if (!again.problems.empty() || again.options.links.size() != command.options.links.size()) __builtin_trap();
  return 0;
}
