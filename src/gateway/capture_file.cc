#include "gateway/capture_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "io/signals.h"
#include "wire/pcapng.h"

namespace slipgate {

namespace {

// How long a reader that takes nothing may hold the end of the gateway, and how often that is looked at.
constexpr Duration kMostAtTheEnd = seconds(1);
constexpr int kLookMilliseconds = 50;

bool is_file(int descriptor) {
  struct stat about {};
  return ::fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode);
}

}  // namespace

Result<std::unique_ptr<CaptureFile>> CaptureFile::open(const std::string &path, const std::vector<std::string> &links) {
  Fd file(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                      : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return Error::from_errno(errno, fmt::format("--pcap {}", path));
  std::unique_ptr<CaptureFile> made(new CaptureFile(std::move(file), path));
  std::vector<uint8_t> header;
  pcapng::append_section(header, "slipgate");
  for (const std::string &link : links) pcapng::append_interface(header, link, "inside packets");
  made->put(std::move(header));
  return made;
}

CaptureFile::CaptureFile(Fd file, std::string path)
    : path_(std::move(path)),
      file_(std::move(file)),
      // What poll() calls writable takes so much without waiting, and is somebody else's, too: O_NONBLOCK is not for us
      // to set.
      most_at_once_(is_file(file_.get()) ? SIZE_MAX : PIPE_BUF),
      mailbox_(loop_, kMostWaiting, [this](const std::vector<uint8_t> &records) { write(records); }) {}

void CaptureFile::start() {
  const SignalsHeld held;
  thread_ = std::thread([this] { loop_.run(); });
}

CaptureFile::~CaptureFile() {
  if (!thread_.joinable()) return;
  end_by_ = (BootClock::now() + kMostAtTheEnd).time_since_epoch().count();
  loop_.post([this] { loop_.stop(); });  // behind what was put
  thread_.join();
}

bool CaptureFile::put(std::vector<uint8_t> records) {
  const size_t size = records.size();
  return mailbox_.put(std::move(records), size);
}

bool CaptureFile::wait_for_room() {
  pollfd file{file_.get(), POLLOUT, 0};
  for (;;) {
    if (::poll(&file, 1, kLookMilliseconds) > 0) return true;
    if (BootClock::now().time_since_epoch().count() >= end_by_) return false;
  }
}

void CaptureFile::write(const std::vector<uint8_t> &records) {
  for (size_t written = 0; written < records.size() && file_;) {
    if (!wait_for_room()) {
      log::warn("--pcap {}: nobody reads it; what waited is lost", path_);
      file_.reset();
      return;
    }
    const size_t size = std::min(records.size() - written, most_at_once_);
    const ssize_t count = ::write(file_.get(), records.data() + written, size);
    if (count >= 0) {
      written += static_cast<size_t>(count);
    } else if (errno != EINTR && errno != EAGAIN) {
      // The gateway goes on; a disk that is full does not get emptier by trying.
      log::error("--pcap {}: {}; nothing more is captured", path_, std::generic_category().message(errno));
      file_.reset();
    }
  }
}

}  // namespace slipgate
