// The file of `--pcap`: one thread writes what all shards captured, so that no packet waits for a disk or for who reads
// a pipe.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/mailbox.h"

namespace slipgate {

class CaptureFile {
 public:
  // What may wait to be written, of all shards.
  static constexpr size_t kMostWaiting = 64 << 20;

  // Makes or empties the file (mode 0600: it holds what people say to each other), "-" is standard output; writes its
  // header. `links`: the names of the interfaces.
  static Result<std::unique_ptr<CaptureFile>> open(const std::string &path, const std::vector<std::string> &links);
  // Starts the thread that writes.
  void start();
  // Writes what waits, then closes; what nobody reads is given up after a second. The last put() was before.
  ~CaptureFile();
  CaptureFile(const CaptureFile &) = delete;
  CaptureFile &operator=(const CaptureFile &) = delete;

  // Whole records. False: there is no room. Any thread.
  bool put(std::vector<uint8_t> records);

 private:
  CaptureFile(Fd file, std::string path);
  void write(const std::vector<uint8_t> &records);
  // False: the end has come, and there is none.
  bool wait_for_room();

  const std::string path_;
  Fd file_;  // closed: an error ended it
  const size_t most_at_once_;
  std::atomic<int64_t> end_by_ = std::numeric_limits<int64_t>::max();  // on BootClock
  Loop loop_;
  Mailbox<std::vector<uint8_t>> mailbox_;
  std::thread thread_;  // none until start()
};

}  // namespace slipgate
