// What may be asked and changed about a WireGuard interface while it runs: what WireGuard's userspace API needs.
//
// What is asked sees what was changed before; changes of peers are in force everywhere when settle() returns. Peers
// that are not named notice nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "wireguard/device.h"

namespace slipgate {

struct WireGuardSettings {
  wireguard::Key private_key;  // zeros: none
  uint16_t listen_port = 0;
  uint32_t mark = 0;  // SO_MARK of the socket's datagrams; 0: none
};

class WireGuardControl {
 public:
  virtual WireGuardSettings settings() const = 0;
  // What is given changes.
  virtual Result<void> change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                              std::optional<uint32_t> mark) = 0;

  virtual std::vector<wireguard::PeerStatus> peers() const = 0;
  virtual std::optional<wireguard::PeerConfig> peer(const wireguard::PublicKey &key) const = 0;
  virtual size_t peer_count() const = 0;
  // As wireguard::Device::set_peer(): adds or changes; without an endpoint the one known stays.
  virtual void set_peer(const wireguard::PeerConfig &config) = 0;
  virtual void remove_peer(const wireguard::PublicKey &key) = 0;
  virtual void settle() {}

 protected:
  ~WireGuardControl() = default;
};

}  // namespace slipgate
