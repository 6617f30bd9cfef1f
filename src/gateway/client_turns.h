// How much one client's streams may move in a turn while other clients are served: a turn is as long as what moves in
// it, and everybody waits for its end. What the share of a turn has no room for has its turn in the next ones, so that
// however many streams a client has, they take no more of everybody's time, and each of them goes on.
//
// Lives on one shard. Clients that fall into one slot share one share.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace slipgate {

class ClientTurns {
 public:
  // Bytes of a client in a turn: some 40 us. With 64 kB, beside a download, another's round trip took 3 to 5 times as
  // long as alone, with this 1.2 to 1.6 times; the download was as fast.
  static constexpr size_t kShare = 24 * 1024;
  static constexpr size_t kStreamShare = 8 * 1024;  // of one direction of a stream, beside others of the client

  // What one stream remembers.
  struct Place {
    uint32_t round = 0;  // in which it moved last
  };

  // How much the stream may move in the turn of this time. 0: nothing now, in a turn to come.
  size_t share(uint32_t client, const Place &place, Time turn) {
    Slot &slot = slots_[client % slots_.size()];
    if (slot.turn != turn) {
      // Whoever moved in this round waits until all that want to have moved.
      if (!slot.refused) slot.round++;
      slot.alone = slot.moved <= 1;
      slot.turn = turn;
      slot.given = 0;
      slot.moved = 0;
      slot.refused = false;
    }
    if (slot.given >= kShare) {
      if (place.round != slot.round) slot.refused = true;
      return 0;
    }
    if (place.round == slot.round) return 0;
    return slot.alone ? kShare : kStreamShare;
  }
  void moved(uint32_t client, Place &place, size_t bytes) {
    Slot &slot = slots_[client % slots_.size()];
    slot.given += bytes;
    slot.moved++;
    place.round = slot.round;
  }

 private:
  struct Slot {
    Time turn{};
    size_t given = 0;
    size_t moved = 0;  // streams
    uint32_t round = 1;
    bool alone = true;  // no more than one stream moved in the turn before
    bool refused = false;
  };
  std::array<Slot, 64> slots_;
};

}  // namespace slipgate
