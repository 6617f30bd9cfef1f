#include "wireguard/tai64n.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/endian.h"

namespace slipgate::wireguard {

Tai64n Tai64nClock::next(Time now) {
  constexpr int64_t kSecond = 1'000'000'000;
  constexpr uint32_t kRounding = (1u << 24) - 1;
  // 2^62 is 1970 in TAI, which was 10 s ahead of UTC then; leap seconds since do not matter to an order.
  constexpr uint64_t kEpoch = (uint64_t{1} << 62) + 10;
  const int64_t wall = std::max<int64_t>((now.time_since_epoch() + wall_offset_).count(), 0);
  uint64_t seconds = kEpoch + static_cast<uint64_t>(wall / kSecond);
  uint32_t nanoseconds = static_cast<uint32_t>(wall % kSecond) & ~kRounding;

  if (std::tie(seconds, nanoseconds) <= std::tie(last_seconds_, last_nanoseconds_)) {  // lesson: wg-timestamp-grows
    seconds = last_seconds_;
    nanoseconds = last_nanoseconds_ + 1;
    if (nanoseconds == kSecond) seconds++, nanoseconds = 0;
  }
  last_seconds_ = seconds;
  last_nanoseconds_ = nanoseconds;

  const be64 wire_seconds(seconds);
  const be32 wire_nanoseconds(nanoseconds);
  Tai64n stamp;
  std::memcpy(stamp.data(), &wire_seconds, 8);
  std::memcpy(stamp.data() + 8, &wire_nanoseconds, 4);
  return stamp;
}

}  // namespace slipgate::wireguard
