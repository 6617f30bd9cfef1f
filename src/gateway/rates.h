// How fast each client may send and receive (`--rate`). Streams and what comes from the host for a client are held
// back; what a client sends in datagrams beyond its rate, and what other clients send it, is dropped and counted.
//
// Lives on one shard.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flow/options.h"
#include "io/pace.h"

namespace slipgate {

class Rates {
 public:
  // Of one client.
  struct Paces {
    explicit Paces(TimerWheel &timers) : up(timers), down(timers) {}
    Pace up, down;
  };

  explicit Rates(TimerWheel &timers) : timers_(timers) {}

  bool empty() const { return clients_.empty(); }
  // Null: no limit was ever set.
  Paces *of(uint32_t client) const {
    if (clients_.empty()) return nullptr;
    auto found = clients_.find(client);
    return found == clients_.end() ? nullptr : found->second.get();
  }

  // Those that are limited from now on, and nobody else: client to {up, down}, 0: no limit. Applies to what stands.
  using Limits = std::map<uint32_t, std::pair<uint64_t, uint64_t>>;
  void set(const Limits &limits);

 private:
  TimerWheel &timers_;
  std::map<uint32_t, std::unique_ptr<Paces>> clients_;
};

}  // namespace slipgate
