// Command lines from rows: one row names an option, says what it does and how its value is taken; the parser, `--help`
// and the tables of the README are made from the rows. CLI11 does the splitting underneath.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/problem.h"
#include "config/said.h"

namespace slipgate {

// The code of an error whose text says the option's value itself, or must not say it: a secret's.
inline constexpr int kSaysItself = -1;

// A row of a table: `T` is what its options fill in.
template <typename T>
struct OptionRow {
  std::string_view name;     // long, without dashes
  char letter = 0;           // short, 0: none
  std::string_view metavar;  // empty: a flag without value
  std::string_view help;
  std::string_view fallback;  // the default, for the reader; may be empty
  bool repeats = false;       // may be given more than once
  Result<void> (*apply)(T &target, std::string_view value) = nullptr;
  bool secret = false;  // its value is never printed
};

// A row bound to what it fills in.
struct Option {
  std::string_view name;
  char letter = 0;
  std::string_view metavar, help, fallback;
  bool repeats = false;
  std::function<Result<void>(std::string_view value)> apply;
  bool secret = false;
};

template <typename T>
std::vector<Option> bind_rows(std::span<const OptionRow<T>> rows, T &target) {
  std::vector<Option> options;
  for (const OptionRow<T> &row : rows) {
    options.push_back({row.name, row.letter, row.metavar, row.help, row.fallback, row.repeats,
                       [apply = row.apply, &target](std::string_view value) { return apply(target, value); },
                       row.secret});
  }
  return options;
}

struct Arguments {
  std::vector<std::string> words;  // what is no option, in order
  bool help = false;               // -h or --help: nothing else matters
  SaidOptions said;                // those that were given and are good; secrets without their values
  Problems problems;               // unknown options, missing and bad values: all of them
};

// Takes the options out of `arguments` (without the program's and the command's name) and applies them in the order of
// the rows, repeated ones in the order given. At most `most_words` words may stand between them.
Arguments parse_arguments(std::span<const Option> options, std::span<const std::string> arguments, size_t most_words);

// "  -D, --dns IP:PORT     the built-in DNS answers here (default …)", wrapped to the terminal's usual 80 columns.
std::string help_table(std::span<const Option> options);
// The same for keys of a TOML file: "  mtu BYTES     largest inside packet (default 1420)".
std::string help_keys(std::span<const Option> options);
// The key of an option in a TOML file: its name with _ for -.
std::string key_of(std::string_view option);

}  // namespace slipgate
