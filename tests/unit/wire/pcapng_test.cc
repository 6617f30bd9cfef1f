#include "wire/pcapng.h"

#include <cstring>
#include <string>

#include "support/catch.h"

using namespace slipgate;

namespace {

uint32_t word(const std::vector<uint8_t> &bytes, size_t at) {
  uint32_t value;
  REQUIRE(at + sizeof(value) <= bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

}  // namespace

TEST_CASE("blocks say their length twice and are padded to 32 bits (section 3.1)") {
  for (size_t size = 0; size < 9; size++) {
    for (std::string_view comment : {"", "a", "four", "fives"}) {
      std::vector<uint8_t> to{1, 2, 3, 4};
      const std::vector<uint8_t> packet(size, 0xab);
      pcapng::append_packet(to, {.comment = comment, .lost = size}, packet);
      const uint32_t length = word(to, 8);
      CHECK(length == to.size() - 4);
      CHECK(length % 4 == 0);
      CHECK(word(to, to.size() - 4) == length);
      CHECK(word(to, 4 + 20) == size);
      CHECK(word(to, 4 + 24) == size);
    }
  }
}

TEST_CASE("a packet's block holds what is said of it (section 4.3)") {
  std::vector<uint8_t> to;
  const std::vector<uint8_t> packet{0x45, 1, 2, 3, 4};
  pcapng::append_packet(to,
                        {.interface = 3,
                         .nanoseconds = 0x0123456789abcdef,
                         .direction = pcapng::Direction::outbound,
                         .comment = "why",
                         .lost = 7},
                        packet);
  const std::vector<uint8_t> wanted{6,    0,    0,    0,    72,   0,    0,    0,     // type, length
                                    3,    0,    0,    0,    0x67, 0x45, 0x23, 0x01,  // interface, time
                                    0xef, 0xcd, 0xab, 0x89, 5,    0,    0,    0,    5, 0, 0, 0,
                                    0x45, 1,    2,    3,    4,    0,    0,    0,                 // packet
                                    1,    0,    3,    0,    'w',  'h',  'y',  0,                 // comment
                                    2,    0,    4,    0,    2,    0,    0,    0,                 // flags: outbound
                                    4,    0,    8,    0,    7,    0,    0,    0,    0, 0, 0, 0,  // drop count
                                    0,    0,    0,    0,                                         // end of options
                                    72,   0,    0,    0};
  CHECK(to == wanted);
}

TEST_CASE("a file begins with its section and its interfaces (sections 4.1 and 4.2)") {
  std::vector<uint8_t> to;
  pcapng::append_section(to, "test");
  CHECK(word(to, 0) == 0x0a0d0d0a);
  CHECK(word(to, 8) == 0x1a2b3c4d);
  CHECK(word(to, 12) == 1);  // version 1.0
  CHECK(word(to, 4) == to.size());
  const size_t start = to.size();
  pcapng::append_interface(to, "wg0", "inside");
  CHECK(word(to, start) == 1);
  CHECK(word(to, start + 8) == 101);
  CHECK(word(to, start + 4) == to.size() - start);
  // A text that is too long for an option is cut.
  const std::string overlong(100000, 'x');
  std::vector<uint8_t> packet;
  pcapng::append_packet(packet, {.comment = overlong}, {});
  CHECK(packet.size() < 1100);
}
