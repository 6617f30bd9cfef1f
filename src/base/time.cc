#include "base/time.h"

#include <ctime>

namespace slipgate {

BootClock::time_point BootClock::now() noexcept {
  timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return time_point(seconds(t.tv_sec) + nanoseconds(t.tv_nsec));
}

}  // namespace slipgate
