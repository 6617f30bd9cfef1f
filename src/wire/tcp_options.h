// TCP options (RFC 9293 section 3.2, RFC 7323, RFC 2018): what a segment's options say.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace slipgate {

// [left, right): sequence numbers that the receiver holds (RFC 2018 section 3).
struct SackBlock {
  uint32_t left = 0;
  uint32_t right = 0;

  bool operator==(const SackBlock &) const = default;
};

struct TcpTimestamps {
  uint32_t value = 0;
  uint32_t echo = 0;
};

struct TcpOptions {
  static constexpr int kMostSackBlocks = 4;  // as many as 40 bytes of options hold

  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;  // as sent; more than 14 counts as 14 (RFC 7323 section 2.3)
  bool sack_permitted = false;
  std::optional<TcpTimestamps> timestamps;
  bool malformed = false;  // an option of length 0 or 1, or past the header; what stood before it counts

  std::span<const SackBlock> sack() const { return {sack_blocks.data(), sack_count}; }

  std::array<SackBlock, kMostSackBlocks> sack_blocks;
  uint8_t sack_count = 0;
};

// `options`: the bytes between the fixed TCP header and its data offset. A known option of a wrong length is passed
// over.
TcpOptions parse_tcp_options(Bytes options);

}  // namespace slipgate
