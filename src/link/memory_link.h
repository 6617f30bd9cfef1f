// A link whose outside is the test's or the simulator's own hands.
#pragma once

#include <utility>
#include <vector>

#include "link/link.h"

namespace slipgate {

class MemoryLink final : public Link {
 public:
  // What goes out, in order; the test takes it from here.
  std::vector<Packet> sent;

  void send(std::span<Packet> packets) override {
    for (Packet &packet : packets) sent.push_back(std::move(packet));
  }
  std::string client_name(uint32_t client) const override { return "client " + std::to_string(client); }
};

}  // namespace slipgate
