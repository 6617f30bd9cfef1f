// The process that opens files for one which cannot any more: a fixed list of them, for reading. It opens by name each
// time, so that a file which was replaced, or a link that leads elsewhere now, is what it gets.
//
// It ends when the Opener does, or when the process that started it ends.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/fd.h"

namespace slipgate {

class Opener {
 public:
  // Starts it, by fork(): before the first thread. Relative paths are meant from here. `confined`: it gives up all that
  // it does not need, as far as the kernel lets it.
  static Result<std::unique_ptr<Opener>> start(std::vector<std::string> paths, bool confined);
  Opener(const Opener &) = delete;
  Opener &operator=(const Opener &) = delete;

  // A descriptor, or an errno negated; EACCES for what is not in the list, EPIPE when the process has gone. Any thread.
  int open(const std::string &path);

 private:
  Opener(Fd socket, std::vector<std::string> paths) : socket_(std::move(socket)), paths_(std::move(paths)) {}

  std::mutex mutex_;  // one request at a time
  const Fd socket_;
  const std::vector<std::string> paths_;
};

}  // namespace slipgate
