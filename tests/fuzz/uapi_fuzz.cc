// Requests of WireGuard's userspace API to a real device, in pieces: whatever comes, every request that ends is
// answered, and the device stays whole.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "control/uapi.h"

using namespace slipgate;

namespace {

class DeviceControl final : public WireGuardControl {
 public:
  DeviceControl() : pool_(2048, 256, 16), device_({}, pool_, counters_, Time()) {}

  WireGuardSettings settings() const override { return {device_.private_key(), port_, mark_}; }
  Result<void> change(const wireguard::Key *key, std::optional<uint16_t> port, std::optional<uint32_t> mark) override {
    if (key) device_.set_private_key(*key, Time());
    if (port == 1) return Error{EACCES, "not this one"};
    if (port) port_ = *port;
    if (mark) mark_ = *mark;
    return {};
  }
  std::vector<wireguard::PeerStatus> peers() const override { return device_.peers(); }
  std::optional<wireguard::PeerConfig> peer(const wireguard::PublicKey &key) const override {
    return device_.peer(key);
  }
  size_t peer_count() const override { return device_.peer_count(); }
  void set_peer(const wireguard::PeerConfig &config) override {
    device_.set_peer(config, Time(), output_);
    output_.datagrams.clear();
  }
  void remove_peer(const wireguard::PublicKey &key) override { device_.remove_peer(key); }

 private:
  BufferPool pool_;
  Counters counters_;
  wireguard::Output output_;
  wireguard::Device device_;
  uint16_t port_ = 0;
  uint32_t mark_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = data[0] % 64 + size_t{1}, changes = data[0] / 64 + size_t{1};
  std::string_view rest(reinterpret_cast<const char *>(data) + 1, size - 1);
  DeviceControl device;
  UapiSession session(device);
  std::string input, answer;
  while (!session.broken()) {
    const size_t taken = session.take(input, answer, changes);
    if (taken > input.size()) std::abort();
    input.erase(0, taken);
    if (taken > 0) continue;
    if (rest.empty()) break;
    input += rest.substr(0, piece);
    rest.remove_prefix(std::min(piece, rest.size()));
  }
  // One end for each answer, and nothing behind the last.
  if (!answer.empty() && !answer.ends_with("\n\n")) std::abort();
  // What it tells of the device's state can be told to it again.
  UapiSession asking(device);
  std::string state;
  asking.take("get=1\n\n", state, 1);
  if (!state.ends_with("errno=0\n\n")) std::abort();
  return 0;
}
