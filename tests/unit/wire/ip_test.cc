#include "wire/ip.h"

#include "support/catch.h"
#include "unit/wire/packets.h"

using namespace slipgate;
using namespace slipgate::test;

TEST_CASE("headers that we write are those that were asked for") {
  IpFields fields;
  fields.source = ip("10.0.0.2");
  fields.destination = ip("192.0.2.1");
  fields.protocol = 17;
  fields.ttl = 9;
  fields.traffic_class = 0xb8;
  fields.identification = 0x12345;
  Buf made(20);
  write_ip_header(made.data(), fields, 8);
  Buf expected = v4({.fragment = 0x4000, .identification = 0x2345, .traffic_class = 0xb8, .ttl = 9}, Buf(8, 0));
  expected.resize(20);
  CHECK(made == expected);

  fields.dont_fragment = false;
  write_ip_header(made.data(), fields, 8, 0x2000 | 185);
  expected = v4({.fragment = 0x20b9, .identification = 0x2345, .traffic_class = 0xb8, .ttl = 9}, Buf(8, 0));
  expected.resize(20);
  CHECK(made == expected);

  fields.source = ip("fd00::2");
  fields.destination = ip("2001:db8::1");
  made.resize(40);
  CHECK(fields.header_size() == 40);
  write_ip_header(made.data(), fields, 1000);
  expected = v6({.traffic_class = 0xb8, .hop_limit = 9}, Buf(1000, 0));
  expected.resize(40);
  CHECK(made == expected);
}
