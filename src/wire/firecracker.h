// What is said on the Unix socket of a Firecracker guest before a connection to its vsock stands (Firecracker's
// docs/vsock.md, "Host-initiated connections").
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace slipgate {

// "CONNECT 52\n"
std::vector<uint8_t> make_firecracker_request(uint32_t port);

struct FirecrackerAnswer {
  enum class State : uint8_t {
    incomplete,  // so far so good: read on
    malformed,
    complete,
  };
  State state = State::malformed;
  size_t size = 0;    // with its end of line; what follows is data
  uint32_t port = 0;  // of the host's end
};

// "OK 1073741824\n"
FirecrackerAnswer parse_firecracker_answer(Bytes bytes);

}  // namespace slipgate
