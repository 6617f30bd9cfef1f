#include "wire/tcp_options.h"

#include <algorithm>

namespace slipgate {
namespace {

// RFC 9293 section 3.2; RFC 7323 sections 2.2 and 3.2; RFC 2018 sections 2 and 3.
enum Kind : uint8_t {
  kEnd = 0,
  kNoOperation = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kSack = 5,
  kTimestamps = 8
};

constexpr uint8_t kMostWindowScale = 14;

}  // namespace

TcpOptions parse_tcp_options(Bytes options) {
  TcpOptions found;
  ByteReader reader(options);
  while (reader.remaining() > 0) {
    uint8_t kind = reader.u8();
    if (kind == kEnd) break;
    if (kind == kNoOperation) continue;
    size_t length = reader.u8();
    if (length < 2 || length - 2 > reader.remaining()) {  // lesson: tcp-option-length
      found.malformed = true;
      break;
    }
    ByteReader value(reader.take(length - 2));
    if (kind == kMss && length == 4) {
      found.mss = value.u16();
    } else if (kind == kWindowScale && length == 3) {
      found.window_scale = std::min(value.u8(), kMostWindowScale);
    } else if (kind == kSackPermitted && length == 2) {
      found.sack_permitted = true;
    } else if (kind == kTimestamps && length == 10) {
      uint32_t sent = value.u32();
      found.timestamps = TcpTimestamps{sent, value.u32()};
    } else if (kind == kSack && (length - 2) % 8 == 0) {
      while (value.remaining() >= 8 && found.sack_count < TcpOptions::kMostSackBlocks) {
        uint32_t left = value.u32();
        found.sack_blocks[found.sack_count++] = {left, value.u32()};
      }
    }
  }
  return found;
}

}  // namespace slipgate
