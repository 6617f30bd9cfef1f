// Stream sockets of the host that are not TCP's, which a `-R` listener may lead to: values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace slipgate {

namespace target {

// unix(7). "/PATH", or "@NAME" in the abstract namespace.
struct Unix {
  std::string path;
  bool operator==(const Unix &) const = default;
};
// vsock(7): 1 is this machine itself, 2 the one that it is a guest of.
struct Vsock {
  uint32_t cid = 0, port = 0;
  bool operator==(const Vsock &) const = default;
};
// A TIPC service: anywhere in the cluster.
struct Tipc {
  uint32_t type = 0, instance = 0;
  bool operator==(const Tipc &) const = default;
};
// A vsock port of the guest behind the Unix socket of its Firecracker.
struct Firecracker {
  std::string path;
  uint32_t port = 0;
  bool operator==(const Firecracker &) const = default;
};

}  // namespace target

// monostate: none.
using SocketTarget = std::variant<std::monostate, target::Unix, target::Vsock, target::Tipc, target::Firecracker>;

// Whether the text begins with the name of one of them and a colon.
bool names_socket_target(std::string_view text);
// unix:/PATH, unix:@NAME, vsock:CID:PORT, tipc:TYPE:INSTANCE or firecracker:/UDS:PORT. Of numbers, decimal; the error
// has the problem alone.
Result<SocketTarget> parse_socket_target(std::string_view text);
// As it is written; empty: none.
std::string to_string(const SocketTarget &target);

}  // namespace slipgate
