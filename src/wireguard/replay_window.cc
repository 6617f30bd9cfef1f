#include "wireguard/replay_window.h"

#include <algorithm>

namespace slipgate::wireguard {

void ReplayWindow::advance(uint64_t counter) {
  // Words from behind the one that held the greatest so far up to the new one's are reused: empty them first. With
  // nothing seen yet all are empty.
  const uint64_t first = next_ == 0 ? 1 : (next_ - 1) / 64 + 1;
  const uint64_t last = counter / 64;
  if (last >= first) {
    const uint64_t count = std::min<uint64_t>(last - first + 1, kWords);
    for (uint64_t i = 0; i < count; i++) words_[(first + i) % kWords] = 0;
  }
  next_ = counter + 1;
}

}  // namespace slipgate::wireguard
