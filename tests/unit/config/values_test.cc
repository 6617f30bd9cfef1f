#include "config/values.h"

#include "support/catch.h"

using namespace slipgate;

TEST_CASE("numbers keep to their bounds") {
  CHECK(*parse_number("0", 0, 5) == 0);
  CHECK(*parse_number("5", 0, 5) == 5);
  for (std::string_view bad : {"6", "-1", "", " 1", "1 ", "0x1", "1.5", "99999999999999999999999", "+1"}) {
    INFO(bad);
    CHECK_FALSE(parse_number(bad, 0, 5));
  }
}

TEST_CASE("endpoints of peers are addresses or names") {
  struct Row {
    std::string_view text, address, name;
    uint16_t port;
  };
  const Row good[] = {
      {"192.0.2.1:51820", "192.0.2.1:51820", "", 0},
      {"[2001:db8::1]:1", "[2001:db8::1]:1", "", 0},
      {"vpn.example.org:65535", "", "vpn.example.org", 65535},
      {"host_1:7", "", "host_1", 7},
      {"[fe80::1%eth0]:7", "", "fe80::1%eth0", 7},
  };
  for (const Row &row : good) {
    INFO(row.text);
    WireGuardPeerOptions peer;
    REQUIRE(parse_peer_endpoint(row.text, peer));
    CHECK((peer.config.endpoint ? peer.config.endpoint->to_string() : "") == row.address);
    CHECK(peer.endpoint_name == row.name);
    CHECK(peer.endpoint_port == row.port);
  }
  for (std::string_view bad :
       {"", ":", "host", "host:", "host:0", "host:65536", "ho st:1", "-x:1", "1.2.3.4.5:1", "256.1.1.1:1", "0.0.0.0:1",
        "224.0.0.1:1", "255.255.255.255:1", "::1:80", "[::]:80", "2001:db8::1"}) {
    INFO(bad);
    WireGuardPeerOptions peer;
    CHECK_FALSE(parse_peer_endpoint(bad, peer));
    CHECK_FALSE(peer.config.endpoint);
    CHECK(peer.endpoint_name.empty());
  }
}

TEST_CASE("words that were nearly right are guessed") {
  const std::vector<std::string_view> words{"PublicKey", "PresharedKey", "AllowedIPs", "Endpoint"};
  CHECK(closest_word("AllowedIP", words) == "AllowedIPs");
  CHECK(closest_word("publickey", words) == "PublicKey");
  CHECK(closest_word("PreSharedKeys", words) == "PresharedKey");
  CHECK(closest_word("Banana", words) == "");
  CHECK(closest_word("", words) == "");
  CHECK(closest_word(std::string(100000, 'x'), words) == "");
}

TEST_CASE("lists are split and trimmed") {
  CHECK(split("", ',').empty());
  CHECK(split(" \t", ',').empty());
  CHECK(split(" a , b,,c", ',') == std::vector<std::string_view>{"a", "b", "", "c"});
}
