#include "config/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "config/values.h"

namespace slipgate {

namespace {

constexpr size_t kColumns = 100;    // of help
constexpr size_t kHelpColumn = 34;  // where the descriptions begin

std::string flag_names(const Option &option) {
  return option.letter == 0 ? fmt::format("--{}", option.name) : fmt::format("-{},--{}", option.letter, option.name);
}

// As it is shown in help.
std::string usage_of(const Option &option) {
  std::string usage =
      option.letter == 0 ? fmt::format("    --{}", option.name) : fmt::format("-{}, --{}", option.letter, option.name);
  return option.metavar.empty() ? usage : fmt::format("{} {}", usage, option.metavar);
}

std::string unknown_option(std::string_view word, std::span<const Option> options) {
  std::string_view name = word.substr(0, word.find('='));
  std::vector<std::string> spelled{"--help"};
  for (const Option &option : options) spelled.push_back(fmt::format("--{}", option.name));
  std::vector<std::string_view> candidates(spelled.begin(), spelled.end());
  std::string hint = name.starts_with("--") ? did_you_mean(name, candidates) : std::string();
  return fmt::format("{}: unknown option{}", name, hint.empty() ? "; --help shows those there are" : hint);
}

}  // namespace

Arguments parse_arguments(std::span<const Option> options, std::span<const std::string> arguments, size_t most_words) {
  Arguments result;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", result.help);

  // Values are gathered first and applied afterwards, so that one bad option does not hide the next.
  std::vector<std::vector<std::string>> values(options.size());
  std::vector<int> flags(options.size(), 0);
  for (size_t i = 0; i < options.size(); i++) {
    if (options[i].metavar.empty()) {
      app.add_flag(flag_names(options[i]), flags[i])->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    } else {
      app.add_option(flag_names(options[i]), values[i])
          ->expected(1)
          ->allow_extra_args(false)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  }

  std::vector<std::string> given(arguments.begin(), arguments.end());
  std::ranges::reverse(given);  // as CLI11's parse() of a vector wants it
  try {
    app.parse(std::move(given));
  } catch (const CLI::ParseError &error) {
    if (!result.help) result.problems.push_back({"", 0, error.what()});
    return result;
  }
  if (result.help) return result;

  bool unknown = false;
  bool only_words = false;  // after "--"
  for (const std::string &word : app.remaining()) {
    if (word == "--" && !only_words) {
      only_words = true;
    } else if (!only_words && word.size() > 1 && word.front() == '-') {
      result.problems.push_back({"", 0, unknown_option(word, options)});
      unknown = true;
    } else {
      result.words.push_back(word);
    }
  }
  // Behind an unknown option a word may be its value: one complaint is enough then.
  for (size_t i = most_words; i < result.words.size() && !unknown; i++) {
    result.problems.push_back(
        {"", 0, fmt::format("{}: one word too many; --help shows what is expected", result.words[i])});
  }

  for (size_t i = 0; i < options.size(); i++) {
    const Option &option = options[i];
    if (flags[i] != 0) values[i].assign(1, "");
    if (!option.repeats && values[i].size() > 1) {
      result.problems.push_back(
          {"", 0, fmt::format("--{}: given {} times; give it once", option.name, values[i].size())});
    }
    for (const std::string &value : values[i]) {
      Result<void> applied = option.apply(value);
      if (applied) {
        say(result.said, option.name, option.secret ? std::string_view() : std::string_view(value), option.repeats);
        continue;
      }
      result.problems.push_back({"", 0,
                                 applied.error().code == kSaysItself
                                     ? fmt::format("--{}: {}", option.name, applied.error().text)
                                     : fmt::format("--{} {}: {}", option.name, value, applied.error().text)});
    }
  }
  return result;
}

namespace {

std::string table_of(std::span<const Option> options, std::string (*usage_of_one)(const Option &)) {
  std::string text;
  for (const Option &option : options) {
    std::string help(option.help);
    if (option.repeats) help += "; may repeat";
    if (!option.fallback.empty()) help += fmt::format(" (default {})", option.fallback);
    std::string line = "  " + usage_of_one(option);
    if (line.size() + 2 > kHelpColumn) {
      text += line + "\n";
      line.clear();
    }
    line.resize(kHelpColumn, ' ');
    for (std::string_view word : split(help, ' ')) {
      if (line.size() + word.size() > kColumns) {
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
        line.assign(kHelpColumn, ' ');
      }
      line += fmt::format("{} ", word);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace

std::string help_table(std::span<const Option> options) {
  return table_of(options, usage_of);
}

std::string help_keys(std::span<const Option> options) {
  return table_of(options, [](const Option &option) {
    return fmt::format("{} {}", key_of(option.name), option.metavar.empty() ? "true" : option.metavar);
  });
}

std::string key_of(std::string_view option) {
  std::string key(option);
  std::ranges::replace(key, '-', '_');
  return key;
}

}  // namespace slipgate
