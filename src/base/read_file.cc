#include "base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include "base/secret.h"

namespace slipgate {
namespace {

// Those of a configuration: some.
std::mutex names_mutex;
std::vector<std::string> names;

void remember(const std::string &path) {
  std::lock_guard lock(names_mutex);
  if (std::find(names.begin(), names.end(), path) == names.end()) names.push_back(path);
}

FileOpener opened_by;  // set before the first thread, never changed while there are several

int open_file(const std::string &path, AtPipe at_pipe) {
  if (opened_by) return opened_by(path);
  remember(path);
  const int wait = at_pipe == AtPipe::wait ? 0 : O_NONBLOCK;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | wait);
  return descriptor < 0 ? -errno : descriptor;
}

// What is left behind when a string outgrows its memory cannot be wiped: it has room for everything from the start.
size_t expected_size(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) ? static_cast<size_t>(status.st_size) : 0;
}

}  // namespace

std::vector<std::string> files_read() {
  std::lock_guard lock(names_mutex);
  return names;
}

void let_files_be_opened_by(FileOpener opener) {
  opened_by = std::move(opener);
}

Result<std::string> read_file(const std::string &path, size_t most, AtPipe at_pipe) {
  constexpr size_t kPiece = 64 << 10;
  const int descriptor = open_file(path, at_pipe);
  if (descriptor == -EPERM)
    return Error{EPERM,
                 "cannot open it: the sandbox knows only the files that were named at start; restart to read it"};
  if (descriptor == -EPIPE) return Error{EPIPE, "cannot open it: the process that opens files has gone"};
  if (descriptor < 0) return Error::from_errno(-descriptor, "cannot open it");
  std::string text;
  text.reserve(std::min(expected_size(descriptor), most) + kPiece);
  ssize_t count = 1;
  int error = 0;
  while (count > 0 && text.size() < most) {
    const size_t before = text.size();
    text.resize(before + std::min(kPiece, most - before));
    do {
      count = ::read(descriptor, text.data() + before, text.size() - before);
    } while (count < 0 && errno == EINTR);
    error = errno;
    text.resize(before + (count > 0 ? static_cast<size_t>(count) : 0));
  }
  ::close(descriptor);
  if (count >= 0) return text;
  wipe({reinterpret_cast<uint8_t *>(text.data()), text.size()});
  return Error::from_errno(error, "cannot read it");
}

}  // namespace slipgate
