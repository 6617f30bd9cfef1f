#include "base/secret.h"

#include <array>
#include <new>

#include "support/catch.h"

using namespace slipgate;

TEST_CASE("secrets compare by their bytes") {
  std::array<uint8_t, 32> bytes{};
  bytes[31] = 1;
  Secret<32> one{Bytes(bytes)}, zero;
  CHECK_FALSE(one == zero);
  CHECK(one == Secret<32>(one));
  CHECK(zero.is_zero());
  CHECK_FALSE(one.is_zero());
}

TEST_CASE("secret-wiped: a secret leaves nothing in its memory") {
  alignas(Secret<32>) std::array<uint8_t, sizeof(Secret<32>)> memory;
  std::array<uint8_t, 32> bytes;
  bytes.fill(0xaa);
  auto *secret = new (memory.data()) Secret<32>(Bytes(bytes));
  CHECK(secret->data()[5] == 0xaa);
  secret->~Secret();
  volatile uint8_t *left = memory.data();
  uint8_t all = 0;
  for (size_t i = 0; i < memory.size(); i++) all |= left[i];
  CHECK(all == 0);
}
