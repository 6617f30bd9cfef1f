// The road between two shards: what one puts in, the other's loop takes out, in order. Bounded: what does not fit is
// the sender's to drop and count.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "io/loop.h"

namespace slipgate {

template <typename Parcel>
class Mailbox {
 public:
  // `loop`: the receiver's, on which `open` is called with each parcel. The mailbox outlives the last put() and the
  // loop's last turn. At most `capacity` bytes wait.
  Mailbox(Loop &loop, size_t capacity, std::function<void(const Parcel &)> open)
      : loop_(loop), capacity_(capacity), open_(std::move(open)) {}
  Mailbox(const Mailbox &) = delete;
  Mailbox &operator=(const Mailbox &) = delete;

  // False: there is no room for `size` bytes. Any thread.
  bool put(Parcel parcel, size_t size) {
    std::unique_lock lock(mutex_);
    if (size > capacity_ - bytes_) return false;
    bytes_ += size;
    parcels_.push_back(std::move(parcel));
    const bool first = parcels_.size() == 1;
    lock.unlock();
    if (first) loop_.post([this] { deliver(); });
    return true;
  }

 private:
  void deliver() {
    std::vector<Parcel> parcels;
    {
      std::lock_guard lock(mutex_);
      parcels.swap(parcels_);
      bytes_ = 0;
    }
    for (const Parcel &parcel : parcels) open_(parcel);
  }

  Loop &loop_;
  const size_t capacity_;
  const std::function<void(const Parcel &)> open_;
  std::mutex mutex_;
  std::vector<Parcel> parcels_;
  size_t bytes_ = 0;
};

}  // namespace slipgate
