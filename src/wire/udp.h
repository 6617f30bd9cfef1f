// The UDP header (RFC 768).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace slipgate {

struct UdpHeader {
  be16 source_port;
  be16 destination_port;
  be16 length;             // header and payload
  ChecksumField checksum;  // 0: none (IPv4 only; RFC 8200 section 8.1)
};
static_assert(sizeof(UdpHeader) == 8);

// The longest payloads: 65,535 less the headers that the length fields count.
inline constexpr size_t kMostUdpPayloadV4 = 65535 - 20 - 8;
inline constexpr size_t kMostUdpPayloadV6 = 65535 - 8;

}  // namespace slipgate
