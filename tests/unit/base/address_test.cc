#include "base/address.h"

#include <random>

#include "support/catch.h"

using namespace slipgate;

namespace {

IpAddress address(const char *text) {
  return *IpAddress::parse(text);
}

}  // namespace

TEST_CASE("addresses are parsed and printed in their own family") {
  CHECK(address("192.0.2.1").to_string() == "192.0.2.1");
  CHECK(address("2001:db8::1").to_string() == "2001:db8::1");
  CHECK(address("2001:DB8:0:0:0:0:0:1") == address("2001:db8::1"));
  CHECK(address("::").to_string() == "::");
  CHECK(address("0.0.0.0").to_string() == "0.0.0.0");
  CHECK(address("192.0.2.1").is_v4());
  CHECK_FALSE(address("2001:db8::1").is_v4());
  CHECK(address("::ffff:192.0.2.1") == address("192.0.2.1"));
  CHECK(address("192.0.2.1").family_bytes().size() == 4);
  CHECK(address("2001:db8::1").family_bytes().size() == 16);
  CHECK(IpAddress::v4(1, 2, 3, 4) == address("1.2.3.4"));
  CHECK(IpAddress::any(true) == address("0.0.0.0"));
  CHECK(IpAddress::any(false) == address("::"));
}

TEST_CASE("what is not an address is not parsed") {
  for (const char *text :
       {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "[::1]", "fe80::1%eth0", ":::", "1:2:3:4:5:6:7",
        "g::1", "01.2.3.4x", "localhost", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd"}) {
    INFO(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
  CHECK_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST_CASE("kinds of addresses") {
  CHECK(address("127.0.0.1").is_loopback());
  CHECK(address("127.255.0.9").is_loopback());
  CHECK(address("::1").is_loopback());
  CHECK_FALSE(address("128.0.0.1").is_loopback());
  CHECK_FALSE(address("::2").is_loopback());
  CHECK(address("169.254.169.254").is_link_local());
  CHECK(address("fe80::1").is_link_local());
  CHECK(address("febf::1").is_link_local());
  CHECK_FALSE(address("fec0::1").is_link_local());
  CHECK(address("224.0.0.1").is_multicast());
  CHECK(address("239.255.255.255").is_multicast());
  CHECK_FALSE(address("240.0.0.1").is_multicast());
  CHECK(address("ff02::1").is_multicast());
  CHECK(address("255.255.255.255").is_broadcast());
  CHECK(address("0.0.0.0").is_unspecified());
  CHECK(address("::").is_unspecified());
  CHECK_FALSE(address("0.0.0.1").is_unspecified());
}

TEST_CASE("endpoints are parsed and printed") {
  CHECK(Endpoint::parse("192.0.2.1:53") == Endpoint{address("192.0.2.1"), 53});
  CHECK(Endpoint::parse("[2001:db8::1]:65535") == Endpoint{address("2001:db8::1"), 65535});
  CHECK(Endpoint{address("2001:db8::1"), 1}.to_string() == "[2001:db8::1]:1");
  CHECK(Endpoint{address("192.0.2.1"), 0}.to_string() == "192.0.2.1:0");
  for (const char *text : {"", ":", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+1",
                           "192.0.2.1: 1", "2001:db8::1:53", "[192.0.2.1]:53", "[2001:db8::1]", "[2001:db8::1:53"}) {
    INFO(text);
    CHECK_FALSE(Endpoint::parse(text));
  }
}

TEST_CASE("prefixes clear their host bits and contain what they should") {
  CHECK(IpPrefix::parse("10.1.2.3/8")->to_string() == "10.0.0.0/8");
  CHECK(IpPrefix::parse("10.1.2.3")->to_string() == "10.1.2.3/32");
  CHECK(IpPrefix::parse("2001:db8:ffff::/33")->to_string() == "2001:db8:8000::/33");
  CHECK(IpPrefix::parse("::/0")->contains(address("2001:db8::1")));
  CHECK_FALSE(IpPrefix::parse("::/0")->contains(address("10.0.0.1")));
  CHECK(IpPrefix::parse("0.0.0.0/0")->contains(address("10.0.0.1")));
  CHECK_FALSE(IpPrefix::parse("0.0.0.0/0")->contains(address("::1")));
  CHECK(IpPrefix::parse("10.0.0.0/8")->mapped_length() == 104);
  CHECK(*IpPrefix::parse("10.9.0.0/8") == *IpPrefix::parse("10.0.0.0/8"));
  for (const char *text :
       {"", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "10.0.0.0/8/8", "10.0.0.0/8x"}) {
    INFO(text);
    CHECK_FALSE(IpPrefix::parse(text));
  }
}

TEST_CASE("a prefix contains an address exactly when their first bits agree") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20000; round++) {
    bool v4 = random() % 2;
    std::array<uint8_t, 16> a{}, b{};
    size_t size = v4 ? 4 : 16;
    for (size_t i = 0; i < size; i++) a[i] = b[i] = static_cast<uint8_t>(random());
    size_t flipped = random() % (size * 8);
    b[flipped / 8] ^= static_cast<uint8_t>(0x80 >> flipped % 8);
    IpAddress first = v4 ? IpAddress::from_v4(Bytes(a).first(4)) : IpAddress::from_v6(a);
    IpAddress second = v4 ? IpAddress::from_v4(Bytes(b).first(4)) : IpAddress::from_v6(b);
    int length = static_cast<int>(random() % (size * 8 + 1));
    IpPrefix prefix(first, length);
    CHECK(prefix.contains(first));
    CHECK(prefix.contains(second) == (static_cast<size_t>(length) <= flipped));
    CHECK(IpPrefix::parse(prefix.to_string()) == prefix);
  }
}
