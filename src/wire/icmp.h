// ICMP (RFC 792) and ICMPv6 (RFC 4443) messages. Both begin alike; types and codes have the names of their RFCs.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace slipgate {

// An error: behind it as much of the packet concerned as fits.
struct IcmpHeader {
  uint8_t type;
  uint8_t code;
  ChecksumField checksum;  // ICMPv6: with the pseudo header (RFC 4443 section 2.3)
  be32 rest;               // by type: 0; the MTU (IPv4: in the low 16 bits, RFC 1191); a pointer
};
static_assert(sizeof(IcmpHeader) == 8);

// Echo and echo reply; behind it the data.
struct IcmpEcho {
  uint8_t type;
  uint8_t code;
  ChecksumField checksum;
  be16 identifier;
  be16 sequence;
};
static_assert(sizeof(IcmpEcho) == 8);

namespace icmp {
inline constexpr uint8_t kEchoReply = 0;
inline constexpr uint8_t kDestinationUnreachable = 3;
inline constexpr uint8_t kSourceQuench = 4;
inline constexpr uint8_t kRedirect = 5;
inline constexpr uint8_t kEcho = 8;
inline constexpr uint8_t kTimeExceeded = 11;
inline constexpr uint8_t kParameterProblem = 12;

// Codes of destination unreachable (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
inline constexpr uint8_t kNetUnreachable = 0;
inline constexpr uint8_t kHostUnreachable = 1;
inline constexpr uint8_t kProtocolUnreachable = 2;
inline constexpr uint8_t kPortUnreachable = 3;
inline constexpr uint8_t kFragmentationNeeded = 4;
inline constexpr uint8_t kCommunicationProhibited = 13;

// Codes of time exceeded.
inline constexpr uint8_t kTtlExceeded = 0;
inline constexpr uint8_t kReassemblyTimeExceeded = 1;

// Everything but a query or its answer is about another packet.
inline constexpr bool is_error(uint8_t type) {
  return type == kDestinationUnreachable || type == kSourceQuench || type == kRedirect || type == kTimeExceeded ||
         type == kParameterProblem;
}
}  // namespace icmp

namespace icmpv6 {
inline constexpr uint8_t kDestinationUnreachable = 1;
inline constexpr uint8_t kPacketTooBig = 2;
inline constexpr uint8_t kTimeExceeded = 3;
inline constexpr uint8_t kParameterProblem = 4;
inline constexpr uint8_t kEchoRequest = 128;
inline constexpr uint8_t kEchoReply = 129;
inline constexpr uint8_t kRedirect = 137;  // RFC 4861 section 4.5

// Codes of destination unreachable.
inline constexpr uint8_t kNoRoute = 0;
inline constexpr uint8_t kAdministrativelyProhibited = 1;
inline constexpr uint8_t kAddressUnreachable = 3;
inline constexpr uint8_t kPortUnreachable = 4;

// Codes of time exceeded.
inline constexpr uint8_t kHopLimitExceeded = 0;
inline constexpr uint8_t kReassemblyTimeExceeded = 1;

// RFC 4443 section 2.1: the high bit of the type tells errors from the rest.
inline constexpr bool is_error(uint8_t type) {
  return type < 128;
}
}  // namespace icmpv6

}  // namespace slipgate
