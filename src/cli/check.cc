// slipgate check FILE: every problem in a configuration; nothing is changed, nothing is started.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "cli/command.h"
#include "config/arguments.h"
#include "config/run_file.h"
#include "config/wg_quick.h"

namespace slipgate::cli {

namespace {

struct Checked {
  Problems problems, notes;
  std::string what;  // is in it
};

std::string count(size_t number, std::string_view what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

Checked check_wg_quick(const std::string &path) {
  WgQuickFile file = load_wg_quick(path);
  return {file.problems, file.notes, count(file.peers.size(), "peer")};
}

Checked check_run_file(const std::string &path) {
  GatewayCommand file = load_run_file(path);
  size_t peers = 0;
  for (const LinkOptions &link : file.options.links) peers += link.wireguard() ? link.wireguard()->peers.size() : 0;
  return {file.problems, file.notes,
          fmt::format("{}, {}", count(file.options.links.size(), "link"), count(peers, "peer"))};
}

}  // namespace

int run_check(Words arguments) {
  constexpr size_t kMostFiles = 1024;
  Arguments parsed = parse_arguments({}, arguments, kMostFiles);
  if (parsed.help) {
    print(
        "slipgate check FILE...: reads wg-quick files and TOML files of `slipgate run`, and says every problem in "
        "them, with "
        "file and line\n");
    return kDone;
  }
  if (!parsed.problems.empty()) return print_problems(parsed.problems);
  if (parsed.words.empty()) return fail("check: no file; give the wg-quick or TOML file to be checked", kUsage);
  int code = kDone;
  for (const std::string &path : parsed.words) {
    const Checked checked = is_run_file(path) ? check_run_file(path) : check_wg_quick(path);
    print_notes(checked.notes);
    if (!checked.problems.empty()) {
      code = print_problems(checked.problems);
    } else {
      print(fmt::format("{}: ok, {}\n", path, checked.what));
    }
  }
  return code;
}

}  // namespace slipgate::cli
