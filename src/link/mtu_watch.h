// Tells when somebody changes an interface's MTU (rtnetlink(7)), as long as the interface is in our network namespace.
//
// Lives on one shard.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "io/fd.h"
#include "io/loop.h"
#include "io/poller.h"

namespace slipgate {

class MtuWatch final : private Pollable {
 public:
  // Null: it cannot be watched.
  static std::unique_ptr<MtuWatch> open(Loop &loop, const std::string &interface,
                                        std::function<void(uint32_t mtu)> on_change);
  ~MtuWatch();

 private:
  MtuWatch(Loop &loop, int index, Fd watch, std::function<void(uint32_t)> on_change);
  void on_events(uint32_t events) override;

  Loop &loop_;
  const int index_;
  Fd watch_;
  const std::function<void(uint32_t)> on_change_;
};

}  // namespace slipgate
