// SipHash-1-3 (Aumasson and Bernstein 2012): a keyed hash. Whoever chooses the addresses and ports of connections
// cannot choose which of them meet in one place of a table, nor guess initial sequence numbers.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace slipgate {

uint64_t siphash(const uint64_t key[2], Bytes message);

}  // namespace slipgate
