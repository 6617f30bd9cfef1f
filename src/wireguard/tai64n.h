// TAI64N timestamps of handshake initiations (whitepaper section 5.1): 12 bytes that only ever grow.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "base/time.h"

namespace slipgate::wireguard {

// Big endian, so that the order of the bytes is the order in time.
using Tai64n = std::array<uint8_t, 12>;

class Tai64nClock {
 public:
  // `wall_offset`: wall clock minus BootClock.
  explicit Tai64nClock(Duration wall_offset) : wall_offset_(wall_offset) {}

  // Strictly greater than every one before, also when `now` stands still. Rounded down to 16.8 ms, so that it does not
  // tell an observer who knows our public key how our clock runs.
  Tai64n next(Time now);

 private:
  Duration wall_offset_;
  uint64_t last_seconds_ = 0;
  uint32_t last_nanoseconds_ = 0;
};

}  // namespace slipgate::wireguard
