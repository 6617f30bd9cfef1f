#include "dns/host_files.h"

#include "fake_upstream.h"

using namespace slipgate;
using namespace slipgate::dns;

TEST_CASE("hosts files are read as people write them") {
  Hosts hosts(
      "127.0.0.1\tlocalhost   loopback\r\n"
      "\n"
      "  192.0.2.1   a.example   b.example #c.example\n"
      "#192.0.2.2 d.example\n"
      "2001:db8::1 A.Example\n"
      "192.0.2.3 a.example\n"
      "192.0.2.1 e.example\n"
      "fe80::1%eth0 scoped.example\n"
      "300.1.1.1 wrong.example\n"
      "192.0.2.9 bad..name good.example\n"
      "192.0.2.10");
  auto count = [&](std::string_view name) {
    const std::vector<IpAddress> *found = hosts.addresses(*Name::parse(name));
    return found ? found->size() : 0;
  };
  CHECK(count("localhost") == 1);
  CHECK(count("loopback") == 1);
  CHECK(count("a.example") == 3);
  CHECK(count("b.example") == 1);
  CHECK(count("c.example") == 0);
  CHECK(count("d.example") == 0);
  CHECK(count("scoped.example") == 0);
  CHECK(count("wrong.example") == 0);
  CHECK(count("good.example") == 1);
  REQUIRE(hosts.name(*IpAddress::parse("192.0.2.1")));
  CHECK(hosts.name(*IpAddress::parse("192.0.2.1"))->to_string() == "a.example");
  CHECK_FALSE(hosts.name(*IpAddress::parse("192.0.2.10")));
}

TEST_CASE("one name of a hosts file has a bounded number of addresses") {
  std::string text;
  for (int i = 0; i < 300; i++) text += "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + " many\n";
  Hosts hosts(text);
  CHECK(hosts.addresses(*Name::parse("many"))->size() == 64);
}

TEST_CASE("resolv.conf is read as resolv.conf(5) says") {
  ResolvConf conf(
      "; a comment\n"
      "domain old.example\n"
      "nameserver 192.0.2.53 \n"
      "nameserver 2001:db8::53 # here\n"
      "nameserver fe80::1%eth0\n"
      "nameserver resolver.example\n"
      "nameserver [192.0.2.54]:5353\n"
      "search one.example two.example\n"
      "options timeout:1 ndots:3 rotate\n");
  CHECK(conf.servers == std::vector<std::string>{"192.0.2.53", "2001:db8::53", "fe80::1%eth0", "192.0.2.54:5353"});
  REQUIRE(conf.search.size() == 2);
  CHECK(conf.search[0].to_string() == "one.example");
  CHECK(conf.ndots == 3);
  CHECK(ResolvConf("options ndots:99").ndots == 15);
  CHECK(ResolvConf("").servers.empty());
}

TEST_CASE("a watched file is read when it changes and not before") {
  TemporaryFolder folder;
  WatchedFile file(folder.file("x"), seconds(1));
  Time now = BootClock::now();
  CHECK_FALSE(file.changed(now));  // not there
  folder.write("x", "one");
  CHECK_FALSE(file.changed(now + milliseconds(999)));
  CHECK(file.changed(now + seconds(1)) == "one");
  CHECK_FALSE(file.changed(now + seconds(2)));
  folder.write("x", "two");
  CHECK(file.changed(now + seconds(3)) == "two");
}
