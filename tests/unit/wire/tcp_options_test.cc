#include "wire/tcp_options.h"

#include <random>

#include "support/catch.h"
#include "unit/wire/packets.h"

using namespace slipgate;
using namespace slipgate::test;

TEST_CASE("the options of a SYN as Linux sends it") {
  TcpOptions found = parse_tcp_options(Buf{2, 4, 0x05, 0x64, 4, 2, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6, 1, 3, 3, 7});
  CHECK(found.mss == 1380);
  CHECK(found.window_scale == 7);
  CHECK(found.sack_permitted);
  REQUIRE(found.timestamps);
  CHECK(found.timestamps->value == 5);
  CHECK(found.timestamps->echo == 6);
  CHECK_FALSE(found.malformed);
  CHECK(found.sack().empty());
}

TEST_CASE("SACK blocks") {
  Buf options{1, 1, 5, 18};
  test::put32(options, 100);
  test::put32(options, 200);
  test::put32(options, 0xfffffff0);
  test::put32(options, 16);
  TcpOptions found = parse_tcp_options(options);
  REQUIRE(found.sack().size() == 2);
  CHECK(found.sack()[0] == SackBlock{100, 200});
  CHECK(found.sack()[1] == SackBlock{0xfffffff0, 16});
}

TEST_CASE("no options, end of options, unknown options") {
  CHECK_FALSE(parse_tcp_options({}).malformed);
  CHECK_FALSE(parse_tcp_options(Buf{0, 2, 4, 1, 1}).mss);
  TcpOptions found = parse_tcp_options(Buf{254, 5, 9, 9, 9, 3, 3, 2});
  CHECK(found.window_scale == 2);
  CHECK_FALSE(found.malformed);
}

TEST_CASE("known options of a wrong length are passed over") {
  TcpOptions found = parse_tcp_options(Buf{2, 3, 9, 3, 4, 9, 9, 4, 3, 9, 5, 5, 1, 2, 3, 8, 3, 1, 3, 3, 99});
  CHECK_FALSE(found.mss);
  CHECK_FALSE(found.sack_permitted);
  CHECK(found.sack().empty());
  CHECK_FALSE(found.timestamps);
  CHECK(found.window_scale == 14);
  CHECK_FALSE(found.malformed);
}

TEST_CASE("tcp-option-length: options of length 0 or past the header") {
  for (const Buf &tail :
       {Buf{2, 0, 5, 0x64}, Buf{2, 1, 5, 0x64}, Buf{2, 5, 5, 0x64}, Buf{2}, Buf{5, 255, 0, 0}, Buf{99, 0}}) {
    TcpOptions found = parse_tcp_options(Buf{3, 3, 7} + tail);
    CHECK(found.malformed);
    CHECK(found.window_scale == 7);
    CHECK_FALSE(found.mss);
    CHECK(found.sack().empty());
  }
}

TEST_CASE("more SACK blocks than a header can hold are cut off") {
  Buf options;
  for (int i = 0; i < 6; i++) {
    options = options + Buf{5, 10};
    test::put32(options, static_cast<uint32_t>(i));
    test::put32(options, static_cast<uint32_t>(i + 1));
  }
  CHECK(parse_tcp_options(options).sack().size() == TcpOptions::kMostSackBlocks);
}

TEST_CASE("random options end") {
  std::mt19937_64 random(11);
  for (int round = 0; round < 50000; round++) {
    Buf options(random() % 41);
    for (uint8_t &byte : options) byte = static_cast<uint8_t>(random() % (round % 2 ? 12 : 256));
    options.shrink_to_fit();
    TcpOptions found = parse_tcp_options(options);
    REQUIRE(found.sack().size() <= TcpOptions::kMostSackBlocks);
  }
}
