#include "base/secret_memory.h"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace slipgate {
namespace {

constexpr size_t kUnit = 64;  // what is taken is so many bytes, or a multiple
constexpr size_t kChunk = 64 << 10;
static_assert(kChunk % kLargestSecret == 0);

class Pool {
 public:
  void *take(size_t units) {
    std::lock_guard lock(mutex_);
    std::vector<void *> &free = free_.at(units);
    if (!free.empty()) {
      void *memory = free.back();
      free.pop_back();
      return memory;
    }
    if (left_ < units * kUnit) grow();
    void *memory = next_;
    next_ += units * kUnit;
    left_ -= units * kUnit;
    return memory;
  }

  void give_back(void *memory, size_t units) {
    ::explicit_bzero(memory, units * kUnit);  // lesson: secret-wiped
    std::lock_guard lock(mutex_);
    free_.at(units).push_back(memory);
  }

  bool locked() {
    std::lock_guard lock(mutex_);
    return locked_;
  }

 private:
  void grow() {
    void *chunk = ::mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) throw std::bad_alloc();
    if (::mlock(chunk, kChunk) != 0) locked_ = false;
    ::madvise(chunk, kChunk, MADV_DONTDUMP);
    ::madvise(chunk, kChunk, MADV_WIPEONFORK);
    next_ = static_cast<uint8_t *>(chunk);
    left_ = kChunk;
  }

  std::mutex mutex_;
  std::array<std::vector<void *>, kLargestSecret / kUnit + 1> free_;  // by their units; outside of the chunks
  uint8_t *next_ = nullptr;                                           // of the newest chunk
  size_t left_ = 0;
  bool locked_ = true;
};

// Never destroyed: secrets of other static objects may be.
Pool &pool() {
  static Pool &only = *new Pool;
  return only;
}

size_t units_of(size_t bytes) {
  return (bytes + kUnit - 1) / kUnit;
}

}  // namespace

void *take_secret_memory(size_t bytes) {
  return pool().take(units_of(bytes));
}

void give_secret_memory_back(void *memory, size_t bytes) {
  pool().give_back(memory, units_of(bytes));
}

bool secret_memory_is_locked() {
  return pool().locked();
}

}  // namespace slipgate
