// A StackOutput for tests of what makes packets: its own pool, which may be made to run dry.
#pragma once

#include <vector>

#include "base/packet.h"
#include "stack/stack.h"

namespace slipgate::test {

struct TestOutput final : StackOutput {
  explicit TestOutput(size_t most = 4096) : pool(2048, most, 0) {}
  Packet allocate(size_t size) override { return pool.allocate(size); }
  void output(std::span<Packet> given) override {
    for (Packet &packet : given) packets.push_back(std::move(packet));
  }

  BufferPool pool;
  std::vector<Packet> packets;
};

}  // namespace slipgate::test
