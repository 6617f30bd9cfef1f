#include "control/top_flows.h"

#include <algorithm>
#include <utility>

namespace slipgate {
namespace {

// A flow's name from one look to the next: its key may be used again.
uint64_t identity(const FlowStatus &flow) {
  const uint64_t secret[2] = {static_cast<uint64_t>(flow.opened.time_since_epoch().count()), 0};
  return keyed_hash(flow.key, secret);
}

}  // namespace

std::vector<FlowRate> TopFlows::busiest(size_t most, size_t &total) {
  const Time now = loop_.now();
  if (!forget_.armed() || now - looked_ >= kFresh) look(now);
  loop_.timers().arm(forget_, now + kForgotten);
  total = rates_.size();
  return {rates_.begin(), rates_.begin() + static_cast<ptrdiff_t>(std::min(most, rates_.size()))};
}

void TopFlows::look(Time now) {
  const double elapsed = std::chrono::duration<double>(now - looked_).count();
  const bool first = !forget_.armed();
  std::unordered_map<uint64_t, Seen> before = std::exchange(seen_, {});
  rates_.clear();
  for (FlowStatus &flow : source_()) {
    const uint64_t id = identity(flow);
    FlowRate rate;
    // What is new since the last look has moved all its bytes since then.
    Seen known = first ? Seen{flow.bytes_up, flow.bytes_down} : Seen{};
    if (auto found = before.find(id); found != before.end()) known = found->second;
    if (elapsed > 0) {
      rate.up = static_cast<double>(flow.bytes_up - known.up) / elapsed;
      rate.down = static_cast<double>(flow.bytes_down - known.down) / elapsed;
    }
    seen_[id] = {flow.bytes_up, flow.bytes_down};
    rate.flow = std::move(flow);
    rates_.push_back(std::move(rate));
  }
  std::ranges::sort(rates_, [](const FlowRate &a, const FlowRate &b) {
    const double left = a.up + a.down, right = b.up + b.down;
    return left != right ? left > right : a.flow.opened > b.flow.opened;
  });
  looked_ = now;
}

void TopFlows::on_timer(Timer &, Time) {
  seen_ = {};
  rates_ = {};
}

}  // namespace slipgate
