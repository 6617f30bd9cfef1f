#include "crypto/aead.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "crypto/ipsec_mb.h"
#include "crypto/random.h"

namespace slipgate {
namespace {

using Nonce = std::array<uint8_t, 12>;

Nonce nonce_of(uint64_t counter) {
  Nonce nonce{};
  le64 wire(counter);  // lesson: wg-nonce-64-bit
  std::memcpy(nonce.data() + 4, &wire, sizeof(wire));
  return nonce;
}

// Seals one message with this library and with libsodium: whether it is there, works on this CPU and agrees.
bool agrees(AeadEngine engine) {
  Secret<32> key;
  for (uint8_t i = 0; i < 32; i++) key.data()[i] = i;
  std::array<uint8_t, 2 * ipsec_mb::kShortest> sealed, by_sodium;
  std::fill(sealed.begin(), sealed.end(), uint8_t{0x5a});
  by_sodium = sealed;
  AeadKey(key, engine).seal(7, sealed, bytes_of(std::string_view("self test")));
  AeadKey(key, AeadEngine::sodium).seal(7, by_sodium, bytes_of(std::string_view("self test")));
  return sealed == by_sodium;
}

AeadEngine choose_engine() {
  if (!EVP_aead_chacha20_poly1305() || !agrees(AeadEngine::boringssl)) return AeadEngine::sodium;
  return ipsec_mb::available() && agrees(AeadEngine::ipsec_mb) ? AeadEngine::ipsec_mb : AeadEngine::boringssl;
}

}  // namespace

AeadEngine best_aead_engine() {
  static const AeadEngine kBest = choose_engine();
  return kBest;
}

AeadKey::AeadKey(const Secret<32> &key, AeadEngine engine) : key_(key), engine_(engine) {
  static_assert(sizeof(EVP_AEAD_CTX) <= kContextBytes && alignof(EVP_AEAD_CTX) <= 16);
  prepare_crypto();
  if (engine_ == AeadEngine::sodium) return;
  auto *context = new (context_.data()) EVP_AEAD_CTX;
  // Fails only for a wrong key length, and allocates nothing: the state lies inside the context.
  if (!EVP_AEAD_CTX_init(context, EVP_aead_chacha20_poly1305(), key.data(), Secret<32>::kSize, kAeadTag, nullptr))
    std::abort();
}

AeadKey::~AeadKey() {
  if (engine_ != AeadEngine::sodium) EVP_AEAD_CTX_cleanup(reinterpret_cast<EVP_AEAD_CTX *>(context_.data()));
}

bool AeadKey::is_long(size_t message) const {
  return engine_ == AeadEngine::ipsec_mb && message >= ipsec_mb::kShortest;
}

void AeadKey::seal(uint64_t counter, MutableBytes message, Bytes additional) const {
  if (message.size() < kAeadTag) std::abort();  // the caller's arithmetic is wrong
  const Nonce nonce = nonce_of(counter);
  const size_t plain = message.size() - kAeadTag;
  if (engine_ == AeadEngine::sodium) {
    crypto_aead_chacha20poly1305_ietf_encrypt(message.data(), nullptr, message.data(), plain, additional.data(),
                                              additional.size(), nullptr, nonce.data(), key_.data());
    return;
  }
  if (is_long(message.size())) return ipsec_mb::seal(key_.data(), nonce.data(), message, additional);
  size_t sealed = 0;
  if (!EVP_AEAD_CTX_seal(reinterpret_cast<const EVP_AEAD_CTX *>(context_.data()), message.data(), &sealed,
                         message.size(), nonce.data(), nonce.size(), message.data(), plain, additional.data(),
                         additional.size())) {
    std::abort();  // only for messages of 256 GB
  }
}

bool AeadKey::open(uint64_t counter, MutableBytes message, Bytes additional) const {
  if (message.size() < kAeadTag) return false;
  const Nonce nonce = nonce_of(counter);
  if (engine_ == AeadEngine::sodium) {
    return crypto_aead_chacha20poly1305_ietf_decrypt(message.data(), nullptr, nullptr, message.data(), message.size(),
                                                     additional.data(), additional.size(), nonce.data(),
                                                     key_.data()) == 0;
  }
  if (is_long(message.size())) return ipsec_mb::open(key_.data(), nonce.data(), message, additional);
  size_t opened = 0;
  if (EVP_AEAD_CTX_open(reinterpret_cast<const EVP_AEAD_CTX *>(context_.data()), message.data(), &opened,
                        message.size(), nonce.data(), nonce.size(), message.data(), message.size(), additional.data(),
                        additional.size())) {
    return true;
  }
  // BoringSSL notes the failure in this thread's error queue, where TLS would find it.
  ERR_clear_error();
  return false;
}

void xaead_seal(const Secret<32> &key, const XNonce &nonce, MutableBytes message, Bytes additional) {
  if (message.size() < kAeadTag) std::abort();
  prepare_crypto();
  crypto_aead_xchacha20poly1305_ietf_encrypt(message.data(), nullptr, message.data(), message.size() - kAeadTag,
                                             additional.data(), additional.size(), nullptr, nonce.data(), key.data());
}

bool xaead_open(const Secret<32> &key, const XNonce &nonce, MutableBytes message, Bytes additional) {
  if (message.size() < kAeadTag) return false;
  prepare_crypto();
  return crypto_aead_xchacha20poly1305_ietf_decrypt(message.data(), nullptr, nullptr, message.data(), message.size(),
                                                    additional.data(), additional.size(), nonce.data(),
                                                    key.data()) == 0;
}

}  // namespace slipgate
