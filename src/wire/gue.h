// IP packets in UDP: Generic UDP Encapsulation (draft-ietf-intarea-gue-09) and, where there is no header at all,
// Foo-over-UDP (IPIP and SIT, as Linux's `fou` module has them).
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// | 0 |C|  Hlen   |  Proto/ctype  |             Flags             |   variant 0
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// ~            fields that flags announce, private data           ~   Hlen counts them, in words of 32 bits
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// | 0 1 0 0 | or | 0 1 1 0 | an IPv4 or IPv6 packet itself            variant 1: its version begins with 01
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.h"
#include "base/drop_reason.h"
#include "base/endian.h"

namespace slipgate {

struct GueHeader {
  static constexpr uint8_t kControl = 0x20;
  static constexpr uint8_t kLengthMask = 0x1f;
  // Linux's one flag: a word of private flags follows, and what those announce.
  static constexpr uint16_t kPrivateFlags = 0x0001;
  static constexpr uint32_t kRemoteChecksum = 0x80000000;  // of the private flags: a GueRemoteChecksum follows

  uint8_t variant_control_length;
  uint8_t protocol;  // of the payload; with the control bit: the control message's type
  be16 flags;

  int variant() const { return variant_control_length >> 6; }
  bool is_control() const { return variant_control_length & kControl; }
  size_t header_length() const { return sizeof(GueHeader) + (variant_control_length & kLengthMask) * size_t{4}; }
};
static_assert(sizeof(GueHeader) == 4);

// The sender left a checksum inside the payload for us to finish: the sum from `start` to the end goes to `field`.
struct GueRemoteChecksum {
  be16 start;
  be16 field;
};
static_assert(sizeof(GueRemoteChecksum) == 4);

// The IP packet in a datagram.
struct GuePayload {
  size_t offset = 0;  // where it begins
  bool v4 = true;
  bool has_header = false;  // variant 0; else the datagram is the packet
  std::optional<GueRemoteChecksum> unfinished;
};

// A datagram of either variant. Its packet has at least its version, which is that of the header; everything else about
// it is for others to look at.
std::variant<GuePayload, DropReason> parse_gue(Bytes datagram);
// A datagram that is an IP packet and nothing else.
std::variant<GuePayload, DropReason> parse_fou(Bytes datagram);

// Finishes a checksum. False: it would lie outside the packet, which stays as it is.
bool finish_checksum(MutableBytes packet, const GueRemoteChecksum &unfinished);

// What stands before a packet of this family.
GueHeader gue_header(bool v4);

}  // namespace slipgate
