// What one flow has moved so far. Whoever moves its bytes counts here, so that it can be told while the flow lives.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace slipgate {

struct Traffic {
  uint64_t bytes_up = 0;  // from inside
  uint64_t bytes_down = 0;
  Time last_active{};
};

}  // namespace slipgate
