// The system's random numbers, and libsodium made ready.
//
// Any thread.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace slipgate {

// Makes libsodium ready (it picks its fastest code then). Everything in this folder calls it; again costs nothing.
void prepare_crypto();

void fill_random(MutableBytes bytes);
uint32_t random_u32();
// 0 to bound - 1, all equally likely; 0 for a bound of 0.
uint32_t random_below(uint32_t bound);

}  // namespace slipgate
