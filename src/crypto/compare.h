// Comparing what an attacker may guess at: the time taken does not say how many bytes were right.
#pragma once

#include "base/bytes.h"

namespace slipgate {

// False when the sizes differ.
bool equal_in_constant_time(Bytes a, Bytes b);

}  // namespace slipgate
