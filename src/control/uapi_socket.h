// The socket of WireGuard's userspace API, where wg(8) looks for it: NAME.sock in /var/run/wireguard when we may write
// there, else under $XDG_RUNTIME_DIR/slipgate/wireguard. Mode 0600.
//
// Lives on one loop. Few peers are changed per turn, so that packets pass meanwhile whatever the size of a request.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "io/loop.h"
#include "link/wireguard_control.h"

namespace slipgate {

// Where wg(8) looks, and whether that is ours to use.
inline constexpr const char *kWireGuardFolder = "/var/run/wireguard";
// The folder for our sockets; empty: there is none.
std::string uapi_folder();

class UapiSocket {
 public:
  static constexpr size_t kMostClients = 16;       // the one that was silent the longest makes room for the next
  static constexpr size_t kChangesPerTurn = 8;     // peers: at 50 us each for the key exchange that a new one costs
  static constexpr size_t kReadAtOnce = 16 << 10;  // bytes of requests

  // EADDRINUSE: somebody serves an interface of this name.
  static Result<std::unique_ptr<UapiSocket>> open(Loop &loop, WireGuardControl &control, const std::string &folder,
                                                  const std::string &interface);
  ~UapiSocket();
  UapiSocket(const UapiSocket &) = delete;
  UapiSocket &operator=(const UapiSocket &) = delete;

  const std::string &path() const;

 private:
  struct State;
  explicit UapiSocket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipgate
