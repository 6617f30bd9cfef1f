#include "wire/proxy_header.h"

#include <string>

#include "support/catch.h"

namespace slipgate {

TEST_CASE("PROXY protocol version 1") {
  using State = ProxyV1::State;
  struct Row {
    std::string text;
    State state;
  };
  const Row rows[] = {
      {"", State::incomplete},
      {"PRO", State::incomplete},
      {"PROXY TCP4 192.0.2.1 203.0.113.1 40000 443", State::incomplete},
      {"PROXY TCP4 192.0.2.1 203.0.113.1 40000 443\r", State::incomplete},
      {"PROXY TCP4 192.0.2.1 203.0.113.1 40000 443\r\nGET /", State::complete},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 40000 443\r\n", State::complete},
      {"GET / HTTP/1.1\r\n", State::malformed},
      {"PROXY UNKNOWN\r\n", State::malformed},
      {"PROXY TCP4 2001:db8::1 2001:db8::2 40000 443\r\n", State::malformed},
      {"PROXY TCP6 192.0.2.1 203.0.113.1 40000 443\r\n", State::malformed},
      {"PROXY TCP4 192.0.2.1 203.0.113.1 40000 65536\r\n", State::malformed},
      {"PROXY TCP4 192.0.2.1 203.0.113.1 40000\r\n", State::malformed},
      {"PROXY TCP4  192.0.2.1 203.0.113.1 40000 443\r\n", State::malformed},
      {"PROXY TCP4 192.0.2.1 203.0.113.1 40000 443 1\r\n", State::malformed},
      {"PROXY TCP4 " + std::string(200, '1'), State::malformed},
  };
  for (const Row &row : rows) {
    INFO(row.text);
    CHECK(parse_proxy_v1(bytes_of(row.text)).state == row.state);
  }
  ProxyV1 found = parse_proxy_v1(bytes_of("PROXY TCP4 192.0.2.1 203.0.113.1 40000 443\r\nGET /"));
  CHECK(found.size == 44);
  CHECK(found.client.source == *Endpoint::parse("192.0.2.1:40000"));
  CHECK(found.client.destination == *Endpoint::parse("203.0.113.1:443"));
}

TEST_CASE("Simple Proxy Protocol") {
  SppHeader header{};
  header.magic = SppHeader::kMagic;
  std::memcpy(header.client_address, IpAddress::v4(192, 0, 2, 1).v6_bytes().data(), 16);
  header.client_port = 4000;
  Bytes bytes = bytes_of(header);
  REQUIRE(view_spp(bytes));
  CHECK(view_spp(bytes)->client().source == *Endpoint::parse("192.0.2.1:4000"));
  CHECK_FALSE(view_spp(bytes.first(37)));
  header.magic = uint16_t{0x56ed};
  CHECK_FALSE(view_spp(bytes));
}

}  // namespace slipgate
