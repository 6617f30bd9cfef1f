// Which counters of a session were seen (RFC 6479): a ring of bits, of which the word ahead is cleared as the window
// moves, so that nothing is ever shifted.
#pragma once

#include <array>
#include <cstdint>

#include "base/prefetch.h"
#include "wireguard/constants.h"

namespace slipgate::wireguard {

class ReplayWindow {
 public:
  // Whether `counter` is new and not older than the window: a cheap look before a packet is opened.
  bool fresh(uint64_t counter) const {
    if (counter >= next_) return true;
    if (next_ - counter > kReplayWindow) return false;     // lesson: wg-replay-window-end
    return !(words_[word_of(counter)] & bit_of(counter));  // lesson: wg-replay-refused
  }

  void prefetch_for(uint64_t counter) const {
    prefetch(&next_, &next_ + 1);
    prefetch(&words_[word_of(counter)], &words_[word_of(counter)] + 1);
  }

  // Marks it; only for an authenticated counter that is fresh().
  void mark(uint64_t counter) {
    if (counter >= next_) advance(counter);
    words_[word_of(counter)] |= bit_of(counter);
  }

 private:
  // One word more than the window has: the one being filled (RFC 6479 section 2).
  static constexpr size_t kWords = kReplayWindow / 64 + 1;

  static size_t word_of(uint64_t counter) { return counter / 64 % kWords; }
  static uint64_t bit_of(uint64_t counter) { return uint64_t{1} << (counter % 64); }
  void advance(uint64_t counter);

  uint64_t next_ = 0;  // one above the greatest seen
  std::array<uint64_t, kWords> words_{};
};

}  // namespace slipgate::wireguard
