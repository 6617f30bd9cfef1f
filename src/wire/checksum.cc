#include "wire/checksum.h"

#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace slipgate {
namespace {

// 2^16 is 1 modulo 65,535, so words of any size may be summed, and folded at the end.
uint16_t fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

template <typename T>
T load(const uint8_t *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// The portable sum, and the tail of the other. `Copy`: bytes also go to `to`.
template <bool Copy>
uint64_t sum_words(uint8_t *to, const uint8_t *from, size_t size) {
  uint64_t sum = 0;
  for (; size >= 8; from += 8, size -= 8) {
    uint64_t word = load<uint64_t>(from);
    sum += (word & 0xffffffff) + (word >> 32);
    if constexpr (Copy) {
      std::memcpy(to, &word, 8);
      to += 8;
    }
  }
  uint8_t last[8] = {};
  if (size > 0) std::memcpy(last, from, size);
  if constexpr (Copy) {
    if (size > 0) std::memcpy(to, last, size);
  }
  uint64_t word = load<uint64_t>(last);
  return sum + (word & 0xffffffff) + (word >> 32);
}

#ifdef __x86_64__
// 32 bytes at a time as eight 32-bit words, added up in 64-bit lanes, which cannot overflow.
template <bool Copy>
__attribute__((target("avx2"))) uint64_t sum_avx2(uint8_t *to, const uint8_t *from, size_t size) {
  const __m256i low_half = _mm256_set1_epi64x(0xffffffff);
  __m256i sum_a = _mm256_setzero_si256();
  __m256i sum_b = _mm256_setzero_si256();
  for (; size >= 64; from += 64, size -= 64) {
    __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from + 32));
    if constexpr (Copy) {
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + 32), second);
      to += 64;
    }
    sum_a = _mm256_add_epi64(sum_a, _mm256_and_si256(first, low_half));
    sum_b = _mm256_add_epi64(sum_b, _mm256_srli_epi64(first, 32));
    sum_a = _mm256_add_epi64(sum_a, _mm256_and_si256(second, low_half));
    sum_b = _mm256_add_epi64(sum_b, _mm256_srli_epi64(second, 32));
  }
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i *>(lanes), _mm256_add_epi64(sum_a, sum_b));
  return fold(lanes[0] + lanes[1]) + uint64_t{fold(lanes[2] + lanes[3])} + sum_words<Copy>(to, from, size);
}
#endif

template <bool Copy>
uint64_t sum_bytes(uint8_t *to, const uint8_t *from, size_t size) {
#ifdef __x86_64__
  // A header is done before the wide registers are warm.
  constexpr size_t kWorthwhile = 128;
  if (size >= kWorthwhile && __builtin_cpu_supports("avx2")) return sum_avx2<Copy>(to, from, size);
#endif
  return sum_words<Copy>(to, from, size);
}

uint16_t in_memory_order(uint16_t value) {
  return load<uint16_t>(bytes_of(be16(value)).data());
}

}  // namespace

uint16_t ones_complement_sum(Bytes bytes) {
  return fold(sum_bytes<false>(nullptr, bytes.data(), bytes.size()));
}

uint16_t add_sums(uint16_t a, uint16_t b) {
  return fold(uint64_t{a} + b);
}

uint16_t copy_and_sum(uint8_t *to, const uint8_t *from, size_t size) {
  return fold(sum_bytes<true>(to, from, size));
}

uint16_t pseudo_header_sum(const IpAddress &source, const IpAddress &destination, uint8_t protocol, uint32_t length) {
  Bytes a = source.family_bytes(), b = destination.family_bytes();
  uint64_t sum = sum_words<false>(nullptr, a.data(), a.size()) + sum_words<false>(nullptr, b.data(), b.size());
  sum += in_memory_order(protocol);
  sum += in_memory_order(static_cast<uint16_t>(length >> 16));
  sum += in_memory_order(static_cast<uint16_t>(length));
  return fold(sum);
}

}  // namespace slipgate
