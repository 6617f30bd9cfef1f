// Which flows move the most at this moment: the difference between two looks at all of them. Nothing is remembered
// while nobody asks.
//
// Lives on one loop.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "gateway/gateway.h"
#include "io/loop.h"

namespace slipgate {

struct FlowRate {
  FlowStatus flow;
  double up = 0, down = 0;  // bytes per second
};

class TopFlows final : TimerTarget {
 public:
  using Source = std::function<std::vector<FlowStatus>()>;

  TopFlows(Loop &loop, Source source) : loop_(loop), source_(std::move(source)) {}

  // The `most` flows that moved the most since the look before, the busiest first, then the youngest. Who asks again
  // within kFresh gets the same rates: several may watch. `total`: of all flows.
  std::vector<FlowRate> busiest(size_t most, size_t &total);

 private:
  static constexpr Duration kFresh = milliseconds(500);
  static constexpr Duration kForgotten = seconds(10);

  struct Seen {
    uint64_t up = 0, down = 0;
  };

  void look(Time now);
  void on_timer(Timer &, Time) override;

  Loop &loop_;
  Source source_;
  Timer forget_{*this};
  Time looked_{};
  std::unordered_map<uint64_t, Seen> seen_;  // bounded by the flows' limit
  std::vector<FlowRate> rates_;              // busiest first
};

}  // namespace slipgate
