#include "cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace slipgate::cli {

namespace {

void put(std::FILE *file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

}  // namespace

int print_problems(const Problems &problems) {
  for (const Problem &problem : problems) put(stderr, fmt::format("slipgate: {}\n", problem.to_string()));
  return kUsage;
}

void print_notes(const Problems &notes) {
  for (const Problem &note : notes) put(stderr, fmt::format("slipgate: note: {}\n", note.to_string()));
}

int fail(std::string_view text, int code) {
  put(stderr, fmt::format("slipgate: {}\n", text));
  return code;
}

void print(std::string_view text) {
  put(stdout, text);
}
void tell(std::string_view text) {
  put(isatty(STDOUT_FILENO) ? stdout : stderr, text);
}

}  // namespace slipgate::cli
