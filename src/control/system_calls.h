// seccomp(2): which system calls this process may still make. The list stands in system_calls.cc, with what needs each.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace slipgate {

struct CallsOfGateway {
  bool vsock = false, tipc = false;  // sockets of these families, too
};

// From now on, this thread and what it starts make those calls only. Another one has no effect and fails with EPERM; it
// also raises SIGSYS where kRefusedCallsAreTold. `no_new_privs` is set already.
Result<void> allow_calls_of_gateway(const CallsOfGateway &options);
// What the opener needs (control/opener.h).
Result<void> allow_calls_of_opener();

// The name of a call that was refused, from its SIGSYS.
std::string name_of_call(uint32_t architecture, int number);

// Makes the call that a SIGSYS is about return EPERM; for its handler, with the handler's third argument.
#if defined(__x86_64__) || defined(__aarch64__)
inline constexpr bool kRefusedCallsAreTold = true;
#else
inline constexpr bool kRefusedCallsAreTold = false;  // EPERM without a signal
#endif
void let_refused_call_fail(void *context);

}  // namespace slipgate
