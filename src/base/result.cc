#include "base/result.h"

#include <cstring>

namespace slipgate {

Error Error::from_errno(int code, std::string_view what) {
  char buffer[128];
  // GNU's strerror_r: thread-safe, and may return a constant string instead of filling the buffer.
  const char *reason = strerror_r(code, buffer, sizeof(buffer));
  return {code, std::string(what) + ": " + reason};
}

}  // namespace slipgate
