// Answers of a router: whatever comes is read or refused.
#include "wire/pcp.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::optional<pcp::Answer> answer = pcp::parse_answer(Bytes(data, size));
  // A message that says nothing about success is too short for any of them.
  if (answer && size < 4) __builtin_trap();
  return 0;
}
