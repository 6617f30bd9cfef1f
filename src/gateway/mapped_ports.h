// The ports of the host behind which a client's datagrams are mapped: what another client may write to although it is
// the host's own address (hairpinning, RFC 4787 REQ-9).
//
// One for all shards and any thread: a bit per port, written when a mapping begins and ends, never by a packet, and
// read for datagrams to addresses of the host alone.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace slipgate {

class MappedPorts {
 public:
  void add(bool v4, uint16_t port) { word(v4, port).fetch_or(bit(port), std::memory_order_relaxed); }
  void remove(bool v4, uint16_t port) { word(v4, port).fetch_and(~bit(port), std::memory_order_relaxed); }
  bool contains(bool v4, uint16_t port) const {
    return words_[v4][port / 64].load(std::memory_order_relaxed) & bit(port);
  }

 private:
  static uint64_t bit(uint16_t port) { return uint64_t{1} << port % 64; }
  std::atomic<uint64_t> &word(bool v4, uint16_t port) { return words_[v4][port / 64]; }

  std::array<std::array<std::atomic<uint64_t>, 65536 / 64>, 2> words_{};
};

}  // namespace slipgate
