#include "wire/pcp.h"

#include <algorithm>

namespace slipgate::pcp {

namespace {

constexpr uint8_t MAP = 1;             // RFC 6887 section 19.2
constexpr uint8_t kUdp = 17;           // IANA protocol number
constexpr uint8_t kNatPmpAddress = 0;  // RFC 6886 section 3.2
constexpr uint8_t kNatPmpMapUdp = 1;   // RFC 6886 section 3.3
constexpr uint8_t kResponse = 0x80;
// RFC 6887 section 8.3: no message is longer.
constexpr size_t kMaxMessage = 1100;

template <size_t N>
void copy(Bytes from, uint8_t (&to)[N]) {
  std::copy_n(from.data(), N, to);
}

// RFC 6887 section 7.2: the first 24 bytes are of every response, whatever its opcode and result.
constexpr size_t kCommonSize = 24;

std::optional<Answer> parse_pcp(Bytes message) {
  if (message.size() < kCommonSize || message.size() > kMaxMessage || message.size() % 4 != 0) return std::nullopt;
  const MapResponse *map = view_as<MapResponse>(message);
  // The head's fields stand before kCommonSize, so the copy may be shorter than a whole MAP response.
  MapResponse head{};
  std::copy_n(message.data(), kCommonSize, reinterpret_cast<uint8_t *>(&head));
  bool is_map = head.opcode == (MAP | kResponse) && map && map->protocol == kUdp;
  if (head.result != SUCCESS) {
    Refused refused{head.version, head.result, std::nullopt, head.lifetime};
    if (is_map) std::copy_n(map->nonce, 12, refused.nonce.emplace().begin());
    return refused;
  }
  if (!is_map || head.version != kPcpVersion) return std::nullopt;
  Mapped mapped;
  std::copy_n(map->nonce, 12, mapped.nonce.begin());
  mapped.internal_port = map->internal_port;
  mapped.external = {IpAddress::from_v6(Bytes(map->external_address)), map->external_port};
  mapped.lifetime = map->lifetime;
  return mapped;
}

std::optional<Answer> parse_nat_pmp(Bytes message) {
  // RFC 6886 section 3.5: the result stands behind version and opcode in every answer.
  struct Head {
    uint8_t version;
    uint8_t opcode;
    be16 result;
  };
  const Head *head = view_as<Head>(message);
  if (!head) return std::nullopt;
  if (head->result != SUCCESS) return Refused{head->version, head->result, std::nullopt, 0};
  if (head->opcode == (kNatPmpAddress | kResponse)) {
    const NatPmpAddressResponse *answer = view_as<NatPmpAddressResponse>(message);
    if (!answer) return std::nullopt;
    return NatPmpAddress{IpAddress::from_v4(Bytes(answer->address))};
  }
  if (head->opcode == (kNatPmpMapUdp | kResponse)) {
    const NatPmpMapResponse *answer = view_as<NatPmpMapResponse>(message);
    if (!answer) return std::nullopt;
    return NatPmpMapped{answer->internal_port, answer->external_port, answer->lifetime};
  }
  return std::nullopt;
}

}  // namespace

MapRequest make_map_request(const Nonce &nonce, const IpAddress &client, uint16_t internal_port,
                            const Endpoint &suggested, uint32_t lifetime) {
  MapRequest request{};
  request.version = kPcpVersion;
  request.opcode = MAP;
  request.lifetime = lifetime;
  copy(client.v6_bytes(), request.client_address);
  copy(nonce, request.nonce);
  request.protocol = kUdp;
  request.internal_port = internal_port;
  request.suggested_port = suggested.port;
  copy(suggested.address.v6_bytes(), request.suggested_address);
  return request;
}

NatPmpAddressRequest make_nat_pmp_address_request() {
  return {kNatPmpVersion, kNatPmpAddress};
}

NatPmpMapRequest make_nat_pmp_map_request(uint16_t internal_port, uint16_t suggested_port, uint32_t lifetime) {
  return {kNatPmpVersion, kNatPmpMapUdp, 0, internal_port, suggested_port, lifetime};
}

std::optional<Answer> parse_answer(Bytes message) {
  if (message.size() < 2 || !(message[1] & kResponse)) return std::nullopt;
  return message[0] == kNatPmpVersion ? parse_nat_pmp(message) : parse_pcp(message);
}

}  // namespace slipgate::pcp
