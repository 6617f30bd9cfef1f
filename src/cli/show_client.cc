#include "cli/show_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/qr.h"

namespace slipgate::cli {

void show_client(std::string_view file) {
  print(file);
  // tell() writes to the terminal of the two, or to standard error.
  bool colours = isatty(STDOUT_FILENO) || isatty(STDERR_FILENO);
  Result<std::string> code = qr_code(file, colours);
  tell(code ? fmt::format("\n{}\n", *code) : fmt::format("\n{}\n", code.error().text));
}

}  // namespace slipgate::cli
