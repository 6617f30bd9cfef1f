// What of the stack an option chooses.
#pragma once

#include <cstdint>

namespace slipgate {

// How TCP decides how fast it sends: by a model of the path (BBR), or by loss (CUBIC).
enum class Congestion : uint8_t { bbr, cubic };

}  // namespace slipgate
