#include "wire/checksum.h"

#include <random>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

namespace {

// RFC 1071 section 1, word by word in network order; gives the sum in network order.
uint16_t plain_sum(Bytes bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i++) sum += i % 2 ? bytes[i] : uint32_t{bytes[i]} << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint16_t network(uint16_t in_memory_order) {
  ChecksumField field = in_memory_order;
  return *view_as<be16>(bytes_of(field));
}

}  // namespace

TEST_CASE("the sum of RFC 1071's example") {
  const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  CHECK(network(ones_complement_sum(bytes)) == 0xddf2);
  CHECK(network(checksum_of(ones_complement_sum(bytes))) == 0x220d);
}

TEST_CASE("sums agree with the plain loop for every size and alignment") {
  std::mt19937_64 random(1);
  std::vector<uint8_t> data(70000 + 64);
  for (uint8_t &byte : data) byte = static_cast<uint8_t>(random());
  auto check = [&](size_t offset, size_t size) {
    Bytes bytes = Bytes(data).subspan(offset, size);
    REQUIRE(network(ones_complement_sum(bytes)) == plain_sum(bytes));
    std::vector<uint8_t> copy(size + 2, 0x5a);
    REQUIRE(network(copy_and_sum(copy.data() + 1, bytes.data(), size)) == plain_sum(bytes));
    REQUIRE(copy.front() == 0x5a);
    REQUIRE(copy.back() == 0x5a);
    REQUIRE(std::equal(bytes.begin(), bytes.end(), copy.begin() + 1));
  };
  for (size_t size = 0; size < 600; size++) check(random() % 64, size);
  for (size_t size : {1380, 1420, 9000, 65535, 70000}) check(3, size);
}

TEST_CASE("sums of all ones do not overflow") {
  std::vector<uint8_t> data(65536, 0xff);
  CHECK(ones_complement_sum(data) == 0xffff);
  CHECK(ones_complement_sum(Bytes(data).first(200)) == 0xffff);
  CHECK(ones_complement_sum({}) == 0);
}

TEST_CASE("pieces add up to the whole") {
  std::mt19937_64 random(2);
  std::vector<uint8_t> data(1000);
  for (uint8_t &byte : data) byte = static_cast<uint8_t>(random());
  uint16_t whole = ones_complement_sum(data);
  CHECK(add_sums(ones_complement_sum(Bytes(data).first(322)), ones_complement_sum(Bytes(data).subspan(322))) == whole);
  CHECK(add_sums(0xffff, 0xffff) == 0xffff);
}

TEST_CASE("the pseudo header is summed as it would lie in memory") {
  IpAddress a = *IpAddress::parse("192.0.2.1"), b = *IpAddress::parse("198.51.100.7");
  const uint8_t v4[] = {192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0x12, 0x34};
  CHECK(network(pseudo_header_sum(a, b, 17, 0x1234)) == plain_sum(v4));

  IpAddress c = *IpAddress::parse("2001:db8::1"), d = *IpAddress::parse("2001:db8:1:2:3:4:5:6");
  std::vector<uint8_t> v6(c.v6_bytes().begin(), c.v6_bytes().end());
  v6.insert(v6.end(), d.v6_bytes().begin(), d.v6_bytes().end());
  for (uint8_t byte : {0x00, 0x01, 0x23, 0x45, 0, 0, 0, 58}) v6.push_back(byte);
  CHECK(network(pseudo_header_sum(c, d, 58, 0x12345)) == plain_sum(v6));
}

TEST_CASE("a checksum updated in place is the one computed anew") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 2000; round++) {
    std::vector<uint16_t> words(10);
    for (uint16_t &word : words) word = static_cast<uint16_t>(random());
    auto sum = [&] { return checksum_of(ones_complement_sum({reinterpret_cast<uint8_t *>(words.data()), 20})); };
    uint16_t before = sum();
    uint16_t old = words[4], now = round % 3 ? static_cast<uint16_t>(random()) : 0xffff;
    words[4] = now;
    CHECK(updated_checksum(before, old, now) == sum());
  }
}
