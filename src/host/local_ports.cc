#include "host/local_ports.h"

#include <netinet/in.h>
#include <sys/random.h>

#include <cerrno>
#include <cstdio>

#include "base/read_file.h"

#ifndef IP_LOCAL_PORT_RANGE  // the C library's headers are older than the kernel
#define IP_LOCAL_PORT_RANGE 51
#endif

namespace slipgate {
namespace {

constexpr uint32_t kWindow = 256;

PortRange read_host_port_range() {
  Result<std::string> text = read_file("/proc/sys/net/ipv4/ip_local_port_range", 64);
  unsigned first = 0, last = 0;
  if (!text || std::sscanf(text->c_str(), "%u %u", &first, &last) != 2 || first == 0 || last < first || last > 65535)
    return {};
  return {static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
}

// The kernel chooses within the window by secrets of its own: that all windows are quite equally likely does not
// matter, nor a number that does not come.
uint32_t random_below(uint32_t bound) {
  uint32_t number = 0;
  if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number)) return 0;
  return number % bound;
}

// {}: all of the host's.
bool look_through(int descriptor, PortRange window) {
  const uint32_t value = uint32_t{window.last} << 16 | window.first;
  return ::setsockopt(descriptor, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value)) == 0;
}

}  // namespace

PortRange host_port_range() {
  static const PortRange kRange = read_host_port_range();
  return kRange;
}

int connect_from_window(int descriptor, const sockaddr *to, socklen_t size, PortRange range) {
  const uint32_t ports = uint32_t{range.last} - range.first + 1;
  if (ports <= kWindow) return ::connect(descriptor, to, size);
  const uint32_t first = range.first + random_below(ports - kWindow + 1);
  const PortRange window{static_cast<uint16_t>(first), static_cast<uint16_t>(first + kWindow - 1)};
  const bool narrow = look_through(descriptor, window);
  const int answer = ::connect(descriptor, to, size);
  if (answer == 0 || errno != EADDRNOTAVAIL || !narrow) return answer;
  // No port in the window is free, as next to none is; or there is no address to send from.
  look_through(descriptor, {});
  return ::connect(descriptor, to, size);
}

}  // namespace slipgate
