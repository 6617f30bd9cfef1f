// Any text as a forward, in all grammars.
#include "flow/forward_spec.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text = text_of({data, size});
  for (Forward::Direction direction : {Forward::Direction::local, Forward::Direction::remote}) {
    Result<Forward> forward = parse_forward(text, direction);
    if (!forward && forward.error().text.empty()) __builtin_trap();
  }
  Result<Forward> incoming = parse_incoming(text, Forward::Transport::udp);
  if (incoming ? incoming->target.empty() : incoming.error().text.empty()) __builtin_trap();
  return 0;
}
