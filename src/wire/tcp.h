// The TCP header (RFC 9293 section 3.1).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace slipgate {

struct TcpHeader {
  static constexpr uint8_t kFin = 0x01;
  static constexpr uint8_t kSyn = 0x02;
  static constexpr uint8_t kRst = 0x04;
  static constexpr uint8_t kPsh = 0x08;
  static constexpr uint8_t kAck = 0x10;
  static constexpr uint8_t kUrg = 0x20;
  static constexpr uint8_t kEce = 0x40;  // RFC 3168 section 6.1
  static constexpr uint8_t kCwr = 0x80;
  static constexpr size_t kMostBytes = 60;

  be16 source_port;
  be16 destination_port;
  be32 sequence;
  be32 acknowledgment;
  uint8_t data_offset;  // upper four bits: header length in 32-bit words
  uint8_t flags;
  be16 window;
  ChecksumField checksum;
  be16 urgent_pointer;

  size_t header_length() const { return (data_offset >> 4) * size_t{4}; }
};
static_assert(sizeof(TcpHeader) == 20);

// Sequence numbers compare modulo 2^32 (RFC 9293 section 3.4).
inline bool sequence_before(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b) < 0;
}

}  // namespace slipgate
