// The Internet checksum (RFC 1071), computed over many bytes at a time, and its update in place (RFC 1624).
//
// Sums are 16-bit words as they lie in memory: no byte order is involved until someone prints one.
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "base/endian.h"

namespace slipgate {

// A checksum field of a header: a 16-bit word in memory order, at any alignment.
using ChecksumField = WireInteger<uint16_t, false>;

// Ones'-complement sum of the bytes as 16-bit words in memory order, folded to 16 bits, not inverted. Sums of pieces
// that start at even offsets may be added with add_sums().
uint16_t ones_complement_sum(Bytes bytes);
uint16_t add_sums(uint16_t a, uint16_t b);
// The same while copying: one pass over the data. `to` and `from` must not overlap.
uint16_t copy_and_sum(uint8_t *to, const uint8_t *from, size_t size);

// Sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1): both addresses of one family, protocol and the
// length of transport header and payload.
uint16_t pseudo_header_sum(const IpAddress &source, const IpAddress &destination, uint8_t protocol, uint32_t length);

// What goes into a checksum field, in memory order: the inverted sum.
inline uint16_t checksum_of(uint16_t sum) {
  return static_cast<uint16_t>(~sum);
}

// The checksum after one word that it covers changed (RFC 1624 equation 3). All three in memory order.
inline uint16_t updated_checksum(uint16_t checksum, uint16_t old_word, uint16_t new_word) {
  return checksum_of(add_sums(add_sums(checksum_of(checksum), checksum_of(old_word)), new_word));
}

}  // namespace slipgate
