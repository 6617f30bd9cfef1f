// Where secrets lie: memory that is not written to swap nor into a core dump, and that a forked child finds empty. What
// the kernel does not let us lock (RLIMIT_MEMLOCK) is used all the same.
//
// Any thread. Not for the path of a packet: there is a lock.
#pragma once

#include <cstddef>

namespace slipgate {

inline constexpr size_t kLargestSecret = 1024;

// Zeros, aligned to 64 bytes. std::bad_alloc when there is no memory.
void *take_secret_memory(size_t bytes);
// Wipes it. `bytes`: as it was taken.
void give_secret_memory_back(void *memory, size_t bytes);

// Whether all that was taken so far is locked.
bool secret_memory_is_locked();

}  // namespace slipgate
