// Joins two streams: what one receives the other sends, acknowledging only what the other side took. Half-close passes
// through, an RST on one side becomes an RST on the other.
#pragma once

#include <cstdint>
#include <memory>

#include "base/traffic.h"
#include "io/loop.h"
#include "io/stream.h"

namespace slipgate {

class Pace;

struct RelayResult {
  int inside_error = 0;  // errno that ended it, 0 for an orderly end
  int outside_error = 0;
  bool idle = false;  // ended by the idle timeout
};

// Who is told of the end, and keeps what lives as long as the relay (its flow).
class RelayEnd {
 public:
  // Destroyed without this call when the loop abandons the relay.
  virtual ~RelayEnd() = default;
  // Where the relay counts what it moves, and when it last did; asked once.
  virtual Traffic &traffic() = 0;
  // What the bytes of one direction are held back by, up from inside; null: nothing. Asked each time that some may
  // move.
  enum class Way : uint8_t { up, down };
  virtual Pace *pace(Way) { return nullptr; }
  // The most bytes of one direction in this turn, so that others need not wait long for its end; 0: in a later one. And
  // what was moved of it.
  virtual size_t share(Way) { return SIZE_MAX; }
  virtual void moved(Way, size_t bytes) { (void)bytes; }
  // Once, at the end of a turn; the streams have gone.
  virtual void on_relay_end(const RelayResult &result) = 0;
};

// Ends when both directions ended, when either side failed, or after `idle` without a byte. 32-60 kB per system call.
// No coroutine waits for it: an idle relay is one object.
void relay(Loop &loop, StreamPtr inside, StreamPtr outside, Duration idle, std::unique_ptr<RelayEnd> end);

}  // namespace slipgate
