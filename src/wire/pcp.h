// Asking a router for a port: the Port Control Protocol (RFC 6887) and NAT-PMP (RFC 6886), which share a port and tell
// each other apart by the first byte. Only what a mapping of one UDP port needs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "base/address.h"
#include "base/bytes.h"
#include "base/endian.h"

namespace slipgate::pcp {

inline constexpr uint16_t kServerPort = 5351;  // RFC 6887 section 19.1, RFC 6886 section 3.1

inline constexpr uint8_t kPcpVersion = 2;
inline constexpr uint8_t kNatPmpVersion = 0;

// RFC 6887 section 7.4. NAT-PMP has its own few (RFC 6886 section 3.5) of which 1 means the same.
inline constexpr uint8_t SUCCESS = 0;
inline constexpr uint8_t UNSUPP_VERSION = 1;

using Nonce = std::array<uint8_t, 12>;

// RFC 6887 section 7.1 with the MAP opcode's part (section 11.1) behind it; a response has the same shape (7.2, 11.1).
struct MapRequest {
  uint8_t version;
  uint8_t opcode;  // upper bit: response
  be16 reserved;
  be32 lifetime;  // seconds; 0 deletes
  uint8_t client_address[16];
  uint8_t nonce[12];
  uint8_t protocol;
  uint8_t reserved_2[3];
  be16 internal_port;
  be16 suggested_port;
  uint8_t suggested_address[16];
};
static_assert(sizeof(MapRequest) == 60);

struct MapResponse {
  uint8_t version;
  uint8_t opcode;
  uint8_t reserved;
  uint8_t result;
  be32 lifetime;
  be32 epoch;
  uint8_t reserved_2[12];
  uint8_t nonce[12];
  uint8_t protocol;
  uint8_t reserved_3[3];
  be16 internal_port;
  be16 external_port;
  uint8_t external_address[16];
};
static_assert(sizeof(MapResponse) == 60);

// RFC 6886 sections 3.2 and 3.3
struct NatPmpAddressRequest {
  uint8_t version;
  uint8_t opcode;
};
struct NatPmpAddressResponse {
  uint8_t version;
  uint8_t opcode;  // 128 and the request's
  be16 result;
  be32 epoch;
  uint8_t address[4];
};
struct NatPmpMapRequest {
  uint8_t version;
  uint8_t opcode;
  be16 reserved;
  be16 internal_port;
  be16 suggested_port;
  be32 lifetime;
};
struct NatPmpMapResponse {
  uint8_t version;
  uint8_t opcode;
  be16 result;
  be32 epoch;
  be16 internal_port;
  be16 external_port;
  be32 lifetime;
};
static_assert(sizeof(NatPmpAddressRequest) == 2 && sizeof(NatPmpAddressResponse) == 12);
static_assert(sizeof(NatPmpMapRequest) == 12 && sizeof(NatPmpMapResponse) == 16);

MapRequest make_map_request(const Nonce &nonce, const IpAddress &client, uint16_t internal_port,
                            const Endpoint &suggested, uint32_t lifetime);
NatPmpAddressRequest make_nat_pmp_address_request();
NatPmpMapRequest make_nat_pmp_map_request(uint16_t internal_port, uint16_t suggested_port, uint32_t lifetime);

// What a router answered.
struct Mapped {  // PCP
  Nonce nonce;
  uint16_t internal_port;
  Endpoint external;
  uint32_t lifetime;
};
struct NatPmpAddress {
  IpAddress external;
};
struct NatPmpMapped {
  uint16_t internal_port;
  uint16_t external_port;
  uint32_t lifetime;
};
struct Refused {
  uint8_t version;  // of the answer: who speaks only NAT-PMP refuses PCP in NAT-PMP's version
  uint16_t result;
  std::optional<Nonce> nonce;  // of a PCP mapping that was refused, when the answer carries one
  uint32_t lifetime;           // PCP: seconds for which the same request would be refused again
};
using Answer = std::variant<Mapped, NatPmpAddress, NatPmpMapped, Refused>;

// Nothing when it is no answer to one of the requests above.
std::optional<Answer> parse_answer(Bytes message);

}  // namespace slipgate::pcp
