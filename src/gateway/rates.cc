#include "gateway/rates.h"

namespace slipgate {

void Rates::set(const Limits &limits) {
  // Who waits at a Pace that goes is told.
  std::erase_if(clients_, [&](const auto &entry) { return !limits.contains(entry.first); });
  for (const auto &[client, rates] : limits) {
    std::unique_ptr<Paces> &paces = clients_[client];
    if (!paces) paces = std::make_unique<Paces>(timers_);
    paces->up.set_rate(rates.first);
    paces->down.set_rate(rates.second);
  }
}

}  // namespace slipgate
