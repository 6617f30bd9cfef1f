// A two-way stream of bytes, whatever carries it: TCP inside (stack), TCP, Unix, vsock outside (host), a proxy, TLS,
// one end of a pair. The relay joins two of them and needs to know nothing else.
//
// Lives on one shard. Nothing blocks; the watcher is told when something can go on. Destroying a stream that was not
// finished both ways aborts it (RST where the carrier has such a thing).
#pragma once

#include <sys/uio.h>

#include <memory>
#include <optional>
#include <span>

#include "base/result.h"

namespace slipgate {

// What a stream tells its owner. Calls may come from inside the turn at any time except from within a call on the same
// stream; the watcher may destroy the stream in them.
class StreamWatcher {
 public:
  // peek() may have something new: bytes, the end, or an error.
  virtual void on_readable() = 0;
  // write_some() may take more again, or now fails.
  virtual void on_writable() = 0;

 protected:
  ~StreamWatcher() = default;
};

// What stands to be read.
struct Peeked {
  static constexpr int kMost = 64;
  std::span<const iovec> pieces;  // valid until the next call on this stream
  size_t size = 0;                // bytes in all pieces; 0 with neither end nor error: wait for on_readable()
  bool end = false;               // the peer has finished sending; only with size 0
  int error = 0;                  // errno: ECONNRESET for an RST, ETIMEDOUT, …; only with size 0
};

class Stream {
 public:
  virtual ~Stream() = default;

  // The next bytes, at most about `most` of them; they stay until consumed. 0: only asks whether the stream has failed.
  virtual Peeked peek(size_t most) = 0;
  // `size` bytes of the last peek() were taken: the sender may be told that there is room (TCP's window opens).
  virtual void consume(size_t size) = 0;
  // For streams that bring bytes where they are told to, for a copy less: as peek() and consume() at once, but into
  // `room`; `pieces` stays empty. None: they do not, or have something peeked.
  virtual std::optional<Peeked> read(std::span<const iovec> room) {
    (void)room;
    return std::nullopt;
  }

  // How many bytes write_some() would take now; 0: wait for on_writable().
  virtual size_t writable() = 0;
  // Takes some or all of the bytes (copies them), 0 when there is no room. EPIPE, ECONNRESET, …: nothing can be sent
  // any more.
  virtual Result<size_t> write_some(std::span<const iovec> pieces) = 0;
  // Room of the stream's own for the next bytes, at most about `most` (and writable()) of them, so that they need not
  // be copied; wrote() says how many of them are there, 0 too. Empty: write_some() is the way.
  virtual std::span<const iovec> room(size_t most) {
    (void)most;
    return {};
  }
  virtual void wrote(size_t size) { (void)size; }
  // No more bytes will be written: FIN behind what was taken so far. Once.
  virtual void shutdown_write() = 0;
  // Ends both ways at once: RST where there is one. Nothing but destruction may follow.
  virtual void abort() = 0;

  // Who is told; null for nobody. One at a time.
  virtual void watch(StreamWatcher *watcher) = 0;
};

using StreamPtr = std::unique_ptr<Stream>;

}  // namespace slipgate
