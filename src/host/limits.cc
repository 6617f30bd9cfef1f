#include "host/limits.h"

#include <sys/resource.h>

#include <algorithm>

namespace slipgate {

namespace {

constexpr size_t kReserve = 128;  // sockets of links, listeners, timers, logs, configuration
// A limit of "infinity" is bounded by the kernel's fs.nr_open; no table of ours needs more.
constexpr size_t kMost = 1 << 20;

}  // namespace

size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max;  // lesson: host-descriptor-limit-raised
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return std::min<size_t>(limit.rlim_cur, kMost);
}

size_t admissible_flows(size_t descriptors) {
  // An eighth for what comes and goes: connections being accepted or dialled beyond the flows that are counted.
  size_t reserve = std::max(kReserve, descriptors / 8);
  return descriptors > reserve ? descriptors - reserve : 1;  // lesson: host-admission-below-limit
}

}  // namespace slipgate
