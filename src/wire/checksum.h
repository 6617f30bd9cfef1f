// The Internet checksum (RFC 1071), computed over many bytes at a time, and its update in place (RFC 1624).
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"

namespace slipgate {

// Ones'-complement sum of the bytes as 16-bit words in memory order, folded to 16 bits, not inverted. Sums of pieces that
// start at even offsets may be added with add_sums().
uint16_t ones_complement_sum(Bytes bytes);
uint16_t add_sums(uint16_t a, uint16_t b);
// The same while copying: one pass over the data. `to` and `from` must not overlap.
uint16_t copy_and_sum(uint8_t *to, const uint8_t *from, size_t size);

// Sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1): both addresses of one family, protocol and the
// length of transport header and payload.
uint16_t pseudo_header_sum(const IpAddress &source, const IpAddress &destination, uint8_t protocol, uint32_t length);

// What goes into a checksum field, in memory order: the inverted sum.
inline uint16_t checksum_of(uint16_t sum) { return static_cast<uint16_t>(~sum); }

}  // namespace slipgate
