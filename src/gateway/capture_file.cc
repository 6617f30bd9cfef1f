#include "gateway/capture_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "wire/pcapng.h"

namespace slipgate {

Result<std::unique_ptr<CaptureFile>> CaptureFile::open(const std::string &path, const std::string &link) {
  Fd file(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                      : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return Error::from_errno(errno, fmt::format("--pcap {}", path));
  std::unique_ptr<CaptureFile> made(new CaptureFile(std::move(file), path));
  std::vector<uint8_t> header;
  pcapng::append_section(header, "slipgate");
  pcapng::append_interface(header, link, "inside packets");
  made->put(std::move(header));
  return made;
}

CaptureFile::CaptureFile(Fd file, std::string path)
    : path_(std::move(path)),
      file_(std::move(file)),
      mailbox_(loop_, kMostWaiting, [this](const std::vector<uint8_t> &records) { write(records); }) {
  // Signals are for the thread that controls the gateway.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop_.run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

CaptureFile::~CaptureFile() {
  loop_.post([this] { loop_.stop(); });  // behind what was put
  thread_.join();
}

bool CaptureFile::put(std::vector<uint8_t> records) {
  const size_t size = records.size();
  return mailbox_.put(std::move(records), size);
}

void CaptureFile::write(const std::vector<uint8_t> &records) {
  for (size_t written = 0; written < records.size() && file_;) {
    const ssize_t count = ::write(file_.get(), records.data() + written, records.size() - written);
    if (count >= 0) {
      written += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      // The gateway goes on; a disk that is full does not get emptier by trying.
      log::error("--pcap {}: {}; nothing more is captured", path_, std::generic_category().message(errno));
      file_.reset();
    }
  }
}

}  // namespace slipgate
