// One thing that is wrong (or worth a word) in what the user wrote: where, the value, what would be right.
#pragma once

#include <string>
#include <vector>

namespace slipgate {

struct Problem {
  std::string file;  // empty: the command line
  int line = 0;      // 0: the file as a whole
  std::string text;  // "VALUE: what is wrong; what would be right"

  // "FILE:LINE: TEXT"
  std::string to_string() const {
    if (file.empty()) return text;
    return line == 0 ? file + ": " + text : file + ":" + std::to_string(line) + ": " + text;
  }
  bool operator==(const Problem &) const = default;
};

using Problems = std::vector<Problem>;

}  // namespace slipgate
