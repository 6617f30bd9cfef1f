#include "gateway/heap_trim.h"

#include <malloc.h>

#include <algorithm>

namespace slipgate {

void HeapTrim::on_timer(Timer &timer, Time now) {
  most_ = std::max(most_, flows_.size());
  if (most_ - flows_.size() >= kWorthwhile) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    most_ = flows_.size();
  }
  timers_.arm(timer, now + kLook);
}

}  // namespace slipgate
