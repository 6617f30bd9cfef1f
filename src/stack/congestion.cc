#include "stack/congestion.h"

#include "stack/bbr.h"
#include "stack/cubic.h"

namespace slipgate {

std::unique_ptr<CongestionControl> make_congestion_control(Congestion kind, uint32_t mss, Duration round_trip, Time now,
                                                           uint32_t seed) {
  if (kind == Congestion::cubic) return std::make_unique<Cubic>(mss, round_trip);
  return std::make_unique<Bbr>(mss, round_trip, now, seed);
}

}  // namespace slipgate
