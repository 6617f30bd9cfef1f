#include "host/host_addresses.h"

#include <algorithm>

#include "support/catch.h"
#include "unit/host/private_network.h"
#include "unit/io/run_until.h"

namespace slipgate {

TEST_CASE("host addresses: loopback is among them, strangers are not") {
  Loop loop;
  Result<std::unique_ptr<HostAddresses>> addresses = HostAddresses::open(loop, nullptr);
  REQUIRE(addresses);
  CHECK((*addresses)->contains(*IpAddress::parse("127.0.0.1")));
  CHECK(!(*addresses)->contains(*IpAddress::parse("198.51.100.1")));
  CHECK(std::is_sorted((*addresses)->all().begin(), (*addresses)->all().end()));
  if (std::optional<IpAddress> outgoing = outgoing_address(true)) CHECK((*addresses)->contains(*outgoing));
}

TEST_CASE("host addresses: what is public") {
  for (const char *text : {"8.8.8.8", "2606:4700::1111", "100.128.0.1", "172.32.0.1"}) {
    CHECK(is_public(*IpAddress::parse(text)));
  }
  for (const char *text : {"10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "fe80::1",
                           "fd00::1", "::1", "::", "224.0.0.1", "2001:db8::1", "0.0.0.0", "255.255.255.255"}) {
    INFO(text);
    CHECK(!is_public(*IpAddress::parse(text)));
  }
}

TEST_CASE("host addresses: changes are seen while we run") {
  test::in_private_network([](test::PrivateNetwork &network) -> std::string {
    Loop loop;
    int changes = 0;
    Result<std::unique_ptr<HostAddresses>> addresses = HostAddresses::open(loop, [&] { changes++; });
    if (!addresses) return addresses.error().text;
    IpAddress added = *IpAddress::parse("192.0.2.99");
    if ((*addresses)->contains(added)) return "there already";
    if ((*addresses)->has_ipv6()) return "IPv6 where there is only loopback";
    network.run("ip addr add 192.0.2.99/32 dev lo");
    if (!test::run_until(loop, [&] { return changes == 1; })) return "addition not told";
    if (!(*addresses)->contains(added)) return "not added";
    network.run("ip -6 addr add 2001:db8::99/128 dev lo");
    if (!test::run_until(loop, [&] { return (*addresses)->has_ipv6(); })) return "IPv6 not seen";
    network.run("ip addr del 192.0.2.99/32 dev lo");
    if (!test::run_until(loop, [&] { return !(*addresses)->contains(added); })) return "removal not told";
    return "";
  });
}

}  // namespace slipgate
