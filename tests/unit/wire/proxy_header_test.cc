#include "wire/proxy_header.h"

#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.h"

namespace slipgate {

TEST_CASE("PROXY protocol version 1") {
  using State = ProxyHeader::State;
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
      {"PROXY UNKNOWN\r\n", State::complete},
      {"PROXY UNKNOWN ffff::1 and so on\r\n", State::complete},
      {"PROXY UNKNOWNS\r\n", State::malformed},
      {"PROXY UNKNOWN " + std::string(200, '1'), State::malformed},
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
    CHECK(parse_proxy_header(bytes_of(row.text)).state == row.state);
  }
  ProxyHeader found = parse_proxy_header(bytes_of("PROXY TCP4 192.0.2.1 203.0.113.1 40000 443\r\nGET /"));
  CHECK(found.size == 44);
  REQUIRE(found.client);
  CHECK(found.client->source == *Endpoint::parse("192.0.2.1:40000"));
  CHECK(found.client->destination == *Endpoint::parse("203.0.113.1:443"));
  // Who it is for is not known: the connection's own ends count.
  CHECK_FALSE(parse_proxy_header(bytes_of("PROXY UNKNOWN\r\n")).client);
}

namespace {

// A header of version 2 from its pieces.
std::vector<uint8_t> version_2(uint8_t command, uint8_t family, const std::vector<uint8_t> &rest,
                               std::optional<uint16_t> length = {}) {
  std::vector<uint8_t> bytes(std::begin(ProxyV2Header::kSignature), std::end(ProxyV2Header::kSignature));
  const auto size = length.value_or(static_cast<uint16_t>(rest.size()));
  for (int byte : {int{command}, int{family}, size >> 8, size & 255}) bytes.push_back(static_cast<uint8_t>(byte));
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

const std::vector<uint8_t> kFromIpv4{192, 0, 2, 1, 203, 0, 113, 1, 0x9c, 0x40, 0x01, 0xbb};

}  // namespace

TEST_CASE("PROXY protocol version 2: addresses") {
  std::vector<uint8_t> bytes = version_2(ProxyV2Header::kProxy, ProxyV2Header::kTcpOverIpv4, kFromIpv4);
  bytes.push_back('x');  // data
  const ProxyHeader found = parse_proxy_header(bytes);
  REQUIRE(found.state == ProxyHeader::State::complete);
  CHECK(found.size == 28);
  REQUIRE(found.client);
  CHECK(found.client->source == *Endpoint::parse("192.0.2.1:40000"));
  CHECK(found.client->destination == *Endpoint::parse("203.0.113.1:443"));
  for (size_t size = 0; size < 28; size++) {
    INFO(size);
    CHECK(parse_proxy_header(Bytes(bytes).first(size)).state == ProxyHeader::State::incomplete);
  }
}

TEST_CASE("PROXY protocol version 2: what is passed over") {
  // TLVs, here a name (PP2_TYPE_AUTHORITY) and one cut off by the length: they are not ours to judge.
  std::vector<uint8_t> rest = kFromIpv4;
  for (int byte : {0x02, 0, 3, 0x61, 0x2e, 0x62, 0x05, 0, 99}) rest.push_back(static_cast<uint8_t>(byte));
  ProxyHeader found = parse_proxy_header(version_2(ProxyV2Header::kProxy, ProxyV2Header::kTcpOverIpv4, rest));
  CHECK(found.state == ProxyHeader::State::complete);
  CHECK(found.size == 28 + 9);
  CHECK(found.client);

  // The proxy speaks for itself, or for who has no Internet addresses, or did not come by TCP.
  struct Row {
    uint8_t command, family;
    size_t size;
  };
  for (const Row &row : {Row{ProxyV2Header::kLocal, 0x00, 0}, Row{ProxyV2Header::kLocal, 0x11, 12},
                         Row{ProxyV2Header::kLocal, 0x11, 3}, Row{ProxyV2Header::kProxy, 0x00, 5},
                         Row{ProxyV2Header::kProxy, 0x31, 216}, Row{ProxyV2Header::kProxy, 0x12, 12}}) {
    INFO(int{row.command} << " " << int{row.family});
    found = parse_proxy_header(version_2(row.command, row.family, std::vector<uint8_t>(row.size, 1)));
    CHECK(found.state == ProxyHeader::State::complete);
    CHECK(found.size == 16 + row.size);
    CHECK_FALSE(found.client);
  }
}

TEST_CASE("PROXY protocol version 2: what is refused") {
  auto state = [](const std::vector<uint8_t> &bytes) { return parse_proxy_header(bytes).state; };
  using State = ProxyHeader::State;
  CHECK(state(version_2(0x11, 0x11, kFromIpv4)) == State::malformed);  // version 1 in version 2's clothes
  CHECK(state(version_2(0x22, 0x11, kFromIpv4)) == State::malformed);  // no such command
  CHECK(state(version_2(0x21, 0x41, kFromIpv4)) == State::malformed);  // no such family
  CHECK(state(version_2(0x21, 0x13, kFromIpv4)) == State::malformed);  // no such transport
  CHECK(state(version_2(0x21, 0x21, kFromIpv4)) == State::malformed);  // too short for IPv6
  CHECK(state(version_2(0x21, 0x11, {1, 2, 3})) == State::malformed);
  CHECK(state(version_2(0x21, 0x11, kFromIpv4, kMostProxyV2Bytes - 16)) == State::incomplete);
  CHECK(state(version_2(0x21, 0x11, kFromIpv4, kMostProxyV2Bytes - 15)) == State::malformed);
  std::vector<uint8_t> bytes = version_2(0x21, 0x11, kFromIpv4);
  bytes[5]++;
  CHECK(state(bytes) == State::malformed);
}

TEST_CASE("PROXY protocol: what is made is what is read") {
  const ProxiedClient v4{*Endpoint::parse("10.7.0.2:40000"), *Endpoint::parse("10.7.0.1:8080")};
  const ProxiedClient v6{*Endpoint::parse("[fd07::2]:65535"), *Endpoint::parse("[fd07::1]:1")};
  CHECK(text_of(make_proxy_header(1, v4)) == "PROXY TCP4 10.7.0.2 10.7.0.1 40000 8080\r\n");
  CHECK(text_of(make_proxy_header(1, v6)) == "PROXY TCP6 fd07::2 fd07::1 65535 1\r\n");
  CHECK(make_proxy_header(2, {*Endpoint::parse("192.0.2.1:40000"), *Endpoint::parse("203.0.113.1:443")}) ==
        version_2(0x21, 0x11, kFromIpv4));
  for (int version : {1, 2}) {
    for (const ProxiedClient &client : {v4, v6}) {
      const std::vector<uint8_t> made = make_proxy_header(version, client);
      const ProxyHeader found = parse_proxy_header(made);
      CHECK(found.state == ProxyHeader::State::complete);
      CHECK(found.size == made.size());
      REQUIRE(found.client);
      CHECK(found.client->source == client.source);
      CHECK(found.client->destination == client.destination);
    }
  }
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
