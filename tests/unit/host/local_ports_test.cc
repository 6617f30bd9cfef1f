#include "host/local_ports.h"

#include <netinet/in.h>

#include <set>
#include <vector>

#include "io/fd.h"
#include "io/socket_address.h"
#include "support/catch.h"
#include "unit/host/private_network.h"

namespace slipgate {
namespace {

constexpr PortRange kRange{40000, 40599};

// What is at the other end of connections to it, and how many were made.
struct Destination {
  Destination() {
    SocketAddress any(Endpoint{*IpAddress::parse("127.0.0.1"), 30000}, AF_INET);
    good = ::bind(listener.get(), &any.generic, any.size) == 0 && ::listen(listener.get(), 1024) == 0 &&
           ::getsockname(listener.get(), &address.generic, &address.size) == 0;
  }
  // The local port; 0: none was free.
  uint16_t connect() {
    Fd descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect_from_window(descriptor.get(), &address.generic, address.size, kRange) != 0) return 0;
    connections.push_back(std::move(descriptor));
    return local_endpoint(connections.back().get()).port;
  }

  Fd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  SocketAddress address;
  std::vector<Fd> connections;
  bool good = false;
};

}  // namespace

TEST_CASE("the host's range of ports is known") {
  const PortRange range = host_port_range();
  REQUIRE(range.first > 0);
  REQUIRE(range.last > range.first);
}

TEST_CASE("connections go out from all over the range, and from its last free port") {
  test::in_private_network([](test::PrivateNetwork &network) -> std::string {
    network.write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40599");
    Destination destination;
    if (!destination.good) return "no listener";
    const uint32_t all = 0;
    const bool windows = ::setsockopt(destination.listener.get(), IPPROTO_IP, 51, &all, sizeof(all)) == 0;
    std::set<uint16_t> ports;
    for (int i = 0; i < 600; i++) {
      const uint16_t port = destination.connect();
      if (port < kRange.first || port > kRange.last)
        return "connection " + std::to_string(i) + " from port " + std::to_string(port) + "\n";
      ports.insert(port);
      // A kernel that knows no windows (before Linux 6.3) takes them in order, every second one.
      if (i == 20 && windows && *ports.rbegin() - *ports.begin() < 100) return "the first 20 lie close together\n";
    }
    if (ports.size() != 600) return "a port was used twice\n";
    if (destination.connect() != 0 || errno != EADDRNOTAVAIL) return "one more than there are ports\n";
    return "";
  });
}

}  // namespace slipgate
