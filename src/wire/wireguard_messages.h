// WireGuard's four messages as they lie on the wire (whitepaper section 5.4). Integers are little endian.
#pragma once

#include <array>
#include <cstdint>

#include "base/endian.h"

namespace slipgate {

// The first byte of the whitepaper's type field and the three reserved zeros behind it.
enum class WireGuardType : uint32_t { initiation = 1, response = 2, cookie_reply = 3, transport = 4 };

// Section 5.4.4: the end of both handshake messages.
struct WireGuardMacs {
  std::array<uint8_t, 16> mac1;
  std::array<uint8_t, 16> mac2;
};

// Section 5.4.2.
struct WireGuardInitiation {
  le32 type;
  le32 sender;
  std::array<uint8_t, 32> ephemeral;
  std::array<uint8_t, 32 + 16> sealed_static;
  std::array<uint8_t, 12 + 16> sealed_timestamp;
  WireGuardMacs macs;
};
static_assert(sizeof(WireGuardInitiation) == 148 && alignof(WireGuardInitiation) == 1);

// Section 5.4.3.
struct WireGuardResponse {
  le32 type;
  le32 sender;
  le32 receiver;
  std::array<uint8_t, 32> ephemeral;
  std::array<uint8_t, 0 + 16> sealed_nothing;
  WireGuardMacs macs;
};
static_assert(sizeof(WireGuardResponse) == 92 && alignof(WireGuardResponse) == 1);

// Section 5.4.7.
struct WireGuardCookieReply {
  le32 type;
  le32 receiver;
  std::array<uint8_t, 24> nonce;
  std::array<uint8_t, 16 + 16> sealed_cookie;
};
static_assert(sizeof(WireGuardCookieReply) == 64 && alignof(WireGuardCookieReply) == 1);

// Section 5.4.6. Behind it the sealed packet and its tag; a keepalive has an empty packet.
struct WireGuardTransport {
  le32 type;
  le32 receiver;
  le64 counter;
};
static_assert(sizeof(WireGuardTransport) == 16 && alignof(WireGuardTransport) == 1);

}  // namespace slipgate
