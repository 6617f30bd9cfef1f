// Who may have a handshake worked on (whitepaper section 5.3). One costs us four X25519 operations, about 0.2 ms: a
// flood of them is the one way to keep a responder busy that knows nothing but its public key.
//
// Two allowances for each source address (an IPv6 source is its /64, which one attacker has whole): one for messages
// with a valid mac2, whose address is proven, and one for those without, whose address may be forged. Who used up the
// second gets a cookie, and goes on with the first: a forger of an address cannot shut its owner out. A third allowance
// counts all unproven messages together, of those that their own source's allowance let through; so it takes very many
// sources, never one, until everybody is asked for a cookie.
//
// Lives on one shard. Bounded: tables of fixed size, a new source takes the place of the one idle for longest nearby.
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "crypto/short_hash.h"

namespace slipgate::wireguard {

// So many at once, then so many in a second.
class Allowance {
 public:
  Allowance(uint32_t per_second, uint32_t burst) : cost_(Duration(seconds(1)) / per_second), depth_(cost_ * burst) {}

  // Takes one if there is one. `full_at` is the state: when the allowance will be whole again.
  bool take(Time &full_at, Time now) const {
    const Time after = (full_at > now ? full_at : now) + cost_;
    if (after - now > depth_) return false;
    full_at = after;
    return true;
  }

 private:
  Duration cost_;
  Duration depth_;
};

class HandshakeLimiter {
 public:
  // At 0.2 ms a handshake, one source can cost 1 % of a core unproven, and 1 % proven; all unproven together 20 %.
  static constexpr uint32_t kPerSource = 50;
  static constexpr uint32_t kPerSourceBurst = 100;
  static constexpr uint32_t kUnproven = 1000;
  static constexpr uint32_t kUnprovenBurst = 1000;

  enum class Verdict : uint8_t {
    admit,
    ask_cookie,  // only for messages without a valid mac2
    drop,        // only for messages with one
  };
  // `proven`: mac2 is valid.
  Verdict judge(const IpAddress &source, bool proven, Time now);

 private:
  static constexpr size_t kWays = 4;
  static constexpr size_t kSets = 1024;

  class Table {
   public:
    bool take(uint64_t hash, uint64_t network, Time now);

   private:
    struct Entry {
      uint64_t network = 0;
      Time full_at = Time::min();
    };
    std::vector<Entry> entries_ = std::vector<Entry>(kWays * kSets);
  };

  ShortHash hash_;
  Table proven_;
  Table unproven_;
  Time all_unproven_full_at_ = Time::min();
};

}  // namespace slipgate::wireguard
