// Any bytes as a datagram of GUE or FOU.
#include "wire/gue.h"

#include <vector>

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<uint8_t> datagram(data, data + size);
  for (const auto &parsed : {parse_fou(datagram), parse_gue(datagram)}) {
    const auto *payload = std::get_if<GuePayload>(&parsed);
    if (!payload) continue;
    if (payload->offset >= size || datagram[payload->offset] >> 4 != (payload->v4 ? 4 : 6)) __builtin_trap();
    if (payload->has_header != (payload->offset != 0)) __builtin_trap();
    if (!payload->unfinished) continue;
    const std::vector<uint8_t> before = datagram;
    const MutableBytes packet = MutableBytes(datagram).subspan(payload->offset);
    const size_t at = payload->offset + payload->unfinished->field;
    const bool finished = finish_checksum(packet, *payload->unfinished);
    // Two bytes change, or none.
    for (size_t i = 0; i < size; i++) {
      const bool mine = finished && (i == at || i == at + 1);
      if (datagram[i] != before[i] && !mine) __builtin_trap();
    }
  }
  return 0;
}
