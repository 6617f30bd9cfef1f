#include "config/gue.h"

#include <algorithm>
#include <string>
#include <vector>

#include "config/wgslirpy.h"
#include "support/catch.h"

namespace slipgate {

namespace {

using Words = std::vector<std::string>;
using Accept = GueLinkOptions::Accept;
using Encapsulation = GueLinkOptions::Encapsulation;

Words texts(const Problems &problems) {
  Words all;
  for (const Problem &problem : problems) all.push_back(problem.text);
  return all;
}

}  // namespace

TEST_CASE("slipgate gue without options") {
  GatewayCommand command = read_gue_command(Words{});
  REQUIRE(texts(command.problems) == Words{});
  CHECK(command.options.name == "gue");
  REQUIRE(command.options.links[0].gue());
  const GueLinkOptions &gue = *command.options.links[0].gue();
  CHECK(gue.listen == Endpoint{IpAddress(), 6080});
  CHECK_FALSE(gue.has_fixed_peer());
  CHECK(gue.accept == Accept::endpoint);
  CHECK(gue.encapsulation == Encapsulation::as_peer);
  CHECK(gue.keepalive == 0);
  CHECK_FALSE(command.options.policy.enable_host);
}

TEST_CASE("slipgate gue: its options and those of every link") {
  GatewayCommand command =
      read_gue_command(Words{"-b", "192.0.2.1:5555", "-p", "[2001:db8::2]:6", "-a", "25", "--accept", "address",
                             "--encapsulation", "fou", "--address", "10.7.0.1", "--mtu", "1400", "--threads", "2"});
  REQUIRE(texts(command.problems) == Words{});
  const GueLinkOptions &gue = *command.options.links[0].gue();
  CHECK(gue.listen == *Endpoint::parse("192.0.2.1:5555"));
  CHECK(gue.peer == Endpoint::parse("[2001:db8::2]:6"));
  CHECK(gue.accept == Accept::address);
  CHECK(gue.encapsulation == Encapsulation::fou);
  CHECK(gue.keepalive == 25);
  CHECK(command.options.links[0].addresses == std::vector<IpPrefix>{{IpAddress::v4(10, 7, 0, 1), 32}});
  CHECK(command.options.links[0].mtu == 1400);
  CHECK(command.notes.size() == 1);  // --threads

  const GatewayCommand by_name = read_gue_command(Words{"-p", "peer.example:6080"});
  const GueLinkOptions &named = *by_name.options.links[0].gue();
  CHECK(named.has_fixed_peer());
  CHECK_FALSE(named.peer);
  CHECK(named.peer_name == "peer.example");
  CHECK(named.peer_port == 6080);
}

TEST_CASE("slipgate gue: every wrong value is named") {
  const Words found = texts(read_gue_command(Words{"-b", "192.0.2.1", "-p", "nothing", "-a", "x", "--accept", "all",
                                                   "--encapsulation", "gre", "--address", "10.0.0.0/8", "word"})
                                .problems);
  REQUIRE(found.size() == 7);
  for (const char *name : {"word", "--bind-ip-port", "--peer-endpoint", "--accept", "--encapsulation",
                           "--keepalive-interval", "--address"}) {
    INFO(name);
    CHECK(std::any_of(found.begin(), found.end(), [&](const std::string &text) { return text.starts_with(name); }));
  }
}

TEST_CASE("flags -k INSECURE -K GUE are the same link") {
  const Words flags{"-k", "INSECURE", "-K", "GUE", "-b", "127.0.0.1:9", "-p", "192.0.2.2:6080", "-a", "0"};
  for (const GatewayCommand &command : {read_wgslirpy_command(flags, nullptr), read_wireguard_command(flags)}) {
    REQUIRE(texts(command.problems) == Words{});
    REQUIRE(command.options.links[0].gue());
    CHECK(command.options.links[0].gue()->listen == *Endpoint::parse("127.0.0.1:9"));
    CHECK(command.options.links[0].gue()->peer == Endpoint::parse("192.0.2.2:6080"));
    CHECK(command.options.links[0].gue()->accept == Accept::endpoint);
    CHECK(command.options.links[0].gue()->keepalive == 0);
  }
  // The words count as they are.
  CHECK_FALSE(
      read_wgslirpy_command(Words{"-k", "insecure", "-K", "GUE", "-b", "127.0.0.1:9"}, nullptr).options.links[0].gue());
  CHECK(read_wireguard_command(Words{"-k", "INSECURE", "-K", "GUE", "-p", "x"}).problems.size() == 1);
  CHECK(read_wireguard_command(Words{"-k", "INSECURE", "-K", "GUE", "--interface", "wg0"}).problems.size() == 1);
}

}  // namespace slipgate
