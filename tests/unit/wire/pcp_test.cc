#include "wire/pcp.h"

#include <vector>

#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::pcp;

namespace {

const Nonce kNonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

MapResponse map_response(uint8_t result) {
  MapResponse response{};
  response.version = 2;
  response.opcode = 0x81;
  response.result = result;
  response.lifetime = 3600;
  std::copy(kNonce.begin(), kNonce.end(), response.nonce);
  response.protocol = 17;
  response.internal_port = 51820;
  response.external_port = 40000;
  IpAddress address = *IpAddress::parse("203.0.113.7");
  std::copy_n(address.v6_bytes().data(), 16, response.external_address);
  return response;
}

template <typename T>
std::optional<T> parsed(Bytes message) {
  std::optional<Answer> answer = parse_answer(message);
  if (!answer || !std::holds_alternative<T>(*answer)) return std::nullopt;
  return std::get<T>(*answer);
}

}  // namespace

TEST_CASE("a PCP MAP request has the bytes of RFC 6887") {
  MapRequest request =
      make_map_request(kNonce, *IpAddress::parse("192.168.1.5"), 51820, {IpAddress::any(true), 51820}, 7200);
  Bytes bytes = bytes_of(request);
  const uint8_t expected[60] = {
      2,  1, 0, 0, 0,    0,    0x1c, 0x20,                                      // version, MAP, lifetime
      0,  0, 0, 0, 0,    0,    0,    0,    0, 0,  0xff, 0xff, 192, 168, 1, 5,   // ::ffff:192.168.1.5
      1,  2, 3, 4, 5,    6,    7,    8,    9, 10, 11,   12,                     // nonce
      17, 0, 0, 0, 0xca, 0x6c, 0xca, 0x6c,                                      // UDP, ports
      0,  0, 0, 0, 0,    0,    0,    0,    0, 0,  0xff, 0xff, 0,   0,   0, 0};  // ::ffff:0.0.0.0
  CHECK(std::equal(bytes.begin(), bytes.end(), expected, expected + 60));
}

TEST_CASE("NAT-PMP requests have the bytes of RFC 6886") {
  NatPmpAddressRequest address = make_nat_pmp_address_request();
  const uint8_t address_bytes[2] = {0, 0};
  CHECK(std::memcmp(&address, address_bytes, 2) == 0);
  NatPmpMapRequest map = make_nat_pmp_map_request(51820, 40000, 7200);
  const uint8_t map_bytes[12] = {0, 1, 0, 0, 0xca, 0x6c, 0x9c, 0x40, 0, 0, 0x1c, 0x20};
  CHECK(std::memcmp(&map, map_bytes, 12) == 0);
}

TEST_CASE("PCP answers are read") {
  MapResponse response = map_response(SUCCESS);
  std::optional<Mapped> mapped = parsed<Mapped>(bytes_of(response));
  REQUIRE(mapped);
  CHECK(mapped->nonce == kNonce);
  CHECK(mapped->internal_port == 51820);
  CHECK(mapped->external == *Endpoint::parse("203.0.113.7:40000"));
  CHECK(mapped->lifetime == 3600);

  MapResponse no = map_response(2);  // NOT_AUTHORIZED
  std::optional<Refused> refused = parsed<Refused>(bytes_of(no));
  REQUIRE(refused);
  CHECK(refused->result == 2);
  CHECK(refused->nonce == kNonce);
  // An error may come with no more than the common head.
  refused = parsed<Refused>(bytes_of(no).first(24));
  REQUIRE(refused);
  CHECK_FALSE(refused->nonce);

  CHECK_FALSE(parse_answer(bytes_of(response).first(56)));
  CHECK_FALSE(parse_answer(bytes_of(no).first(20)));
  MapResponse request = response;
  request.opcode = 1;
  CHECK_FALSE(parse_answer(bytes_of(request)));
  MapResponse tcp = response;
  tcp.protocol = 6;
  CHECK_FALSE(parse_answer(bytes_of(tcp)));
  CHECK_FALSE(parse_answer({}));
  CHECK_FALSE(parse_answer(std::vector<uint8_t>(2000, 0x81)));
}

TEST_CASE("NAT-PMP answers are read") {
  const std::vector<uint8_t> address{0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7};
  REQUIRE(parsed<NatPmpAddress>(address));
  CHECK(parsed<NatPmpAddress>(address)->external == *IpAddress::parse("203.0.113.7"));
  CHECK_FALSE(parse_answer(Bytes(address).first(11)));

  const std::vector<uint8_t> map{0, 129, 0, 0, 0, 0, 0, 9, 0xca, 0x6c, 0x9c, 0x40, 0, 0, 0x0e, 0x10};
  std::optional<NatPmpMapped> mapped = parsed<NatPmpMapped>(map);
  REQUIRE(mapped);
  CHECK(mapped->internal_port == 51820);
  CHECK(mapped->external_port == 40000);
  CHECK(mapped->lifetime == 3600);
  CHECK_FALSE(parse_answer(Bytes(map).first(15)));

  // What a router that knows only NAT-PMP says to PCP (RFC 6886 section 3.5).
  const std::vector<uint8_t> unsupported{0, 129, 0, 1, 0, 0, 0, 9};
  std::optional<Refused> refused = parsed<Refused>(unsupported);
  REQUIRE(refused);
  CHECK(refused->version == kNatPmpVersion);
  CHECK(refused->result == UNSUPP_VERSION);
}
