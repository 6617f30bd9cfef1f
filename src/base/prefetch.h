// Asks for memory before it is needed, where the next steps are known to touch all of it: misses that would come one
// after another come at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slipgate {

inline constexpr size_t kCacheLine = 64;

// The lines of [from, to), to be written.
inline void prefetch(const void *from, const void *to) {
  auto *at = reinterpret_cast<const char *>(reinterpret_cast<uintptr_t>(from) & ~(kCacheLine - 1));
  for (; at < to; at += kCacheLine) __builtin_prefetch(at, 1);
}

}  // namespace slipgate
