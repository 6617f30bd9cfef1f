// The owner of a flow that no coroutine holds: it lives until its flow is idle, until it ends itself, or until the
// gateway goes.
#pragma once

#include <string>

#include "flow/flow_table.h"

namespace slipgate {

class CarriedFlow : public FlowOwner {
 public:
  virtual ~CarriedFlow() = default;
  // The host's side, in words.
  virtual std::string host() const = 0;
};

}  // namespace slipgate
