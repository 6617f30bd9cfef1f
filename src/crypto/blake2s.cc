#include "crypto/blake2s.h"

#include <blake2.h>

namespace slipgate {
namespace {

void update(blake2s_state &state, Bytes part) {
  if (!part.empty()) blake2s_update(&state, part.data(), part.size());
}

template <size_t N>
std::array<uint8_t, N> keyed(Bytes key, Parts input) {
  blake2s_state state;
  blake2s_init_key(&state, N, key.data(), key.size());
  for (Bytes part : input) update(state, part);
  std::array<uint8_t, N> mac;
  blake2s_final(&state, mac.data(), mac.size());
  wipe({reinterpret_cast<uint8_t *>(&state), sizeof(state)});
  return mac;
}

}  // namespace

std::array<uint8_t, 32> blake2s(Parts input) {
  blake2s_state state;
  blake2s_init(&state, 32);
  for (Bytes part : input) update(state, part);
  std::array<uint8_t, 32> hash;
  blake2s_final(&state, hash.data(), hash.size());
  return hash;
}

std::array<uint8_t, 16> blake2s_mac(Bytes key, Parts input) {
  return keyed<16>(key, input);
}

std::array<uint8_t, 32> blake2s_mac32(Bytes key, Parts input) {
  return keyed<32>(key, input);
}

Secret<32> hmac_blake2s(Bytes key, Parts input) {
  constexpr size_t kBlock = 64;
  Secret<kBlock> pad;
  std::memcpy(pad.data(), key.data(), key.size());
  for (uint8_t &byte : pad.mutable_bytes()) byte ^= 0x36;
  blake2s_state state;
  blake2s_init(&state, 32);
  update(state, pad.bytes());
  for (Bytes part : input) update(state, part);
  Secret<32> digest;
  blake2s_final(&state, digest.data(), Secret<32>::kSize);

  for (uint8_t &byte : pad.mutable_bytes()) byte ^= 0x36 ^ 0x5c;
  blake2s_init(&state, 32);
  update(state, pad.bytes());
  update(state, digest.bytes());
  blake2s_final(&state, digest.data(), Secret<32>::kSize);
  wipe({reinterpret_cast<uint8_t *>(&state), sizeof(state)});
  return digest;
}

}  // namespace slipgate
