// A link that another shard has: what is for its clients goes there.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "link/link.h"

namespace slipgate {

class FarLink final : public Link {
 public:
  using Pass = std::function<void(std::span<Packet> packets)>;

  FarLink(std::string name, Pass pass) : name_(std::move(name)), pass_(std::move(pass)) {}

  void send(std::span<Packet> packets) override { pass_(packets); }
  std::string client_name(uint32_t) const override { return name_; }

 private:
  const std::string name_;
  const Pass pass_;
};

}  // namespace slipgate
