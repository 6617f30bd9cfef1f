// slipgate check FILE: every problem in a configuration; nothing is changed, nothing is started.
#include <fmt/format.h>

#include <vector>

#include "cli/command.h"
#include "config/arguments.h"
#include "config/wg_quick.h"

namespace slipgate::cli {

int run_check(Words arguments) {
  constexpr size_t kMostFiles = 1024;
  Arguments parsed = parse_arguments({}, arguments, kMostFiles);
  if (parsed.help) {
    print("slipgate check FILE...: reads wg-quick files and says every problem in them, with file and line\n");
    return kDone;
  }
  if (!parsed.problems.empty()) return print_problems(parsed.problems);
  if (parsed.words.empty()) return fail("check: no file; give the wg-quick file to be checked", kUsage);
  int code = kDone;
  for (const std::string &path : parsed.words) {
    WgQuickFile file = load_wg_quick(path);
    print_notes(file.notes);
    if (!file.problems.empty()) {
      code = print_problems(file.problems);
    } else {
      print(fmt::format("{}: ok, {} peer{}\n", path, file.peers.size(), file.peers.size() == 1 ? "" : "s"));
    }
  }
  return code;
}

}  // namespace slipgate::cli
