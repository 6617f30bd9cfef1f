#include "host/proxy.h"

#include <cerrno>

namespace slipgate {

DialError proxy_error(int code, DropReason reason) {
  if (code == ECANCELED || drop_reason_for({.code = code}) == DropReason::descriptors_exhausted) return {.code = code};
  return {.code = EHOSTUNREACH, .reason = reason};
}

}  // namespace slipgate
