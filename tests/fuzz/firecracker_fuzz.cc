// Any bytes as what a Firecracker's Unix socket answers.
#include "wire/firecracker.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const Bytes bytes(data, size);
  const FirecrackerAnswer answer = parse_firecracker_answer(bytes);
  if (answer.state == FirecrackerAnswer::State::complete) {
    if (answer.size > size || data[answer.size - 1] != '\n') __builtin_trap();
    if (parse_firecracker_answer(bytes.first(answer.size - 1)).state != FirecrackerAnswer::State::incomplete) {
      __builtin_trap();
    }
  }
  if (answer.state == FirecrackerAnswer::State::incomplete && size > 14) __builtin_trap();
  return 0;
}
