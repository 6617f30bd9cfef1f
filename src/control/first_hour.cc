#include "control/first_hour.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "base/log.h"
#include "host/host_addresses.h"
#include "host/port_mapping.h"
#include "io/fd.h"
#include "io/signals.h"
#include "io/task.h"

namespace slipgate {

namespace {

constexpr int kPortsTried = 64;
constexpr seconds kMappingLifetime{7200};  // RFC 6886 section 3.3

Fd udp_socket(int family) {
  return Fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

bool is_free(int family, uint16_t port) {
  Fd socket = udp_socket(family);
  if (!socket) return true;  // a family that this machine does not have
  sockaddr_in6 address{};    // all zeros is "any" in both families, and the port is at the same place
  address.sin6_family = static_cast<sa_family_t>(family);
  address.sin6_port = htons(port);
  int only = 1;
  if (family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
  socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  return bind(socket.get(), reinterpret_cast<sockaddr *>(&address), size) == 0 || errno != EADDRINUSE;
}

}  // namespace

std::optional<GuessedAddress> guess_own_address() {
  std::optional<IpAddress> address = best_host_address();
  if (!address) return std::nullopt;
  return GuessedAddress{*address, is_public(*address)};
}

uint16_t free_udp_port(uint16_t first) {
  for (int port = first; port < first + kPortsTried && port <= 65535; port++) {
    if (is_free(AF_INET, static_cast<uint16_t>(port)) && is_free(AF_INET6, static_cast<uint16_t>(port))) {
      return static_cast<uint16_t>(port);
    }
  }
  return first;
}

// --- the router ---

// Its mapping, and the thread that renews it. Nothing of it is shared with the gateway's loop.
struct RouterPort::Keeper {
  explicit Keeper(const PortMapping &first) : mapping(first), first_external(first.external) {}

  void start() {
    const SignalsHeld held;
    thread = std::thread([this] {
      spawn(loop, keep_port_mapping(loop, mapping, [this](const Result<PortMapping> &told) { renewed(told); }));
      loop.run();
    });
  }

  ~Keeper() {
    if (thread.joinable()) {
      loop.post([this] { loop.stop(); });
      thread.join();
    }
    if (granted) remove_port_mapping(mapping);
  }

  void renewed(const Result<PortMapping> &told) {
    if (!told) {
      if (granted)
        log::warn("the router does not pass UDP port {} on any more: {}", mapping.internal_port, told.error().text);
      granted = false;
      return;
    }
    if (!granted || told->external != mapping.external) {
      log::info("the router passes {} on to us; clients whose file says otherwise need a new one",
                told->external.to_string());
    }
    granted = true;
    mapping = *told;
  }

  // The thread's alone until it has ended.
  PortMapping mapping;
  bool granted = true;

  const Endpoint first_external;
  Loop loop;
  std::thread thread;
};

namespace {

Task<> ask_once(Loop &loop, Router router, uint16_t port, Result<PortMapping> *answer) {
  *answer = co_await request_port_mapping(loop, router, port, kMappingLifetime);
  loop.stop();
}

}  // namespace

RouterPort::RouterPort() = default;
RouterPort::~RouterPort() = default;

std::optional<Endpoint> RouterPort::external() const {
  if (!keeper_) return std::nullopt;
  return keeper_->first_external;
}

void RouterPort::keep() {
  if (keeper_) keeper_->start();
}

std::unique_ptr<RouterPort> RouterPort::ask(uint16_t port, bool v4) {
  std::unique_ptr<RouterPort> asked(new RouterPort);
  std::optional<Router> router = default_router(v4);
  if (!router) return asked;
  Result<PortMapping> answer = Error{ETIMEDOUT, "no answer"};
  {
    Loop loop;
    spawn(loop, ask_once(loop, *router, port, &answer));
    loop.run();
  }
  if (!answer) {
    asked->text_ = fmt::format("The router ({}) was asked to pass UDP port {} on to this machine: {}.",
                               router->endpoint.address.to_string(), port, answer.error().text);
    return asked;
  }
  asked->text_ = fmt::format("The router ({}) passes {} on to this machine.", router->endpoint.address.to_string(),
                             answer->external.to_string());
  asked->keeper_ = std::make_unique<Keeper>(*answer);
  return asked;
}

}  // namespace slipgate
