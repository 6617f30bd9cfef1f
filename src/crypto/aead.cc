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

// Seals an empty, a short and a long message with this library and with libsodium: whether it is there, works on this
// CPU and agrees.
bool agrees(AeadEngine engine) {
  Secret<32> key;
  for (uint8_t i = 0; i < 32; i++) key.data()[i] = i;
  const AeadKey other(key, engine), sodium(key, AeadEngine::sodium);
  for (size_t size : {16, 32, 1280}) {
    for (std::string_view additional : {std::string_view(), std::string_view("self test")}) {
      std::array<uint8_t, 1280> sealed, by_sodium;
      std::fill(sealed.begin(), sealed.end(), uint8_t{0x5a});
      by_sodium = sealed;
      other.seal(7, MutableBytes(sealed).first(size), bytes_of(additional));
      sodium.seal(7, MutableBytes(by_sodium).first(size), bytes_of(additional));
      if (sealed != by_sodium) return false;
    }
  }
  return true;
}

AeadEngine choose_engine() {
  if (ipsec_mb::available() && agrees(AeadEngine::ipsec_mb)) return AeadEngine::ipsec_mb;
  return EVP_aead_chacha20_poly1305() && agrees(AeadEngine::boringssl) ? AeadEngine::boringssl : AeadEngine::sodium;
}

}  // namespace

AeadEngine best_aead_engine() {
  static const AeadEngine kBest = choose_engine();
  return kBest;
}

AeadKey::AeadKey(const Secret<32> &key, AeadEngine engine) : engine_(engine), key_(key) {
  static_assert(sizeof(EVP_AEAD_CTX) <= kContextBytes && alignof(EVP_AEAD_CTX) <= 16);
  prepare_crypto();
  if (engine_ != AeadEngine::boringssl) return;
  auto *context = new (context_.emplace().data()) EVP_AEAD_CTX;
  // Fails only for a wrong key length, and allocates nothing: the state lies inside the context.
  if (!EVP_AEAD_CTX_init(context, EVP_aead_chacha20_poly1305(), key.data(), Secret<32>::kSize, kAeadTag, nullptr))
    std::abort();
}

AeadKey::~AeadKey() {
  if (context_) EVP_AEAD_CTX_cleanup(reinterpret_cast<EVP_AEAD_CTX *>(context_->data()));
}

void AeadKey::seal(uint64_t counter, MutableBytes message, Bytes additional) const {
  if (message.size() < kAeadTag) std::abort();  // the caller's arithmetic is wrong
  const Nonce nonce = nonce_of(counter);
  const size_t plain = message.size() - kAeadTag;
  switch (engine_) {
    case AeadEngine::ipsec_mb:
      return ipsec_mb::seal(key_.data(), nonce.data(), message, additional);
    case AeadEngine::sodium:
      crypto_aead_chacha20poly1305_ietf_encrypt(message.data(), nullptr, message.data(), plain, additional.data(),
                                                additional.size(), nullptr, nonce.data(), key_.data());
      return;
    case AeadEngine::boringssl:
      size_t sealed = 0;
      if (!EVP_AEAD_CTX_seal(reinterpret_cast<const EVP_AEAD_CTX *>(context_->data()), message.data(), &sealed,
                             message.size(), nonce.data(), nonce.size(), message.data(), plain, additional.data(),
                             additional.size())) {
        std::abort();  // only for messages of 256 GB
      }
  }
}

bool AeadKey::open(uint64_t counter, MutableBytes message, Bytes additional) const {
  if (message.size() < kAeadTag) return false;
  const Nonce nonce = nonce_of(counter);
  switch (engine_) {
    case AeadEngine::ipsec_mb:
      return ipsec_mb::open(key_.data(), nonce.data(), message, additional);
    case AeadEngine::sodium:
      return crypto_aead_chacha20poly1305_ietf_decrypt(message.data(), nullptr, nullptr, message.data(), message.size(),
                                                       additional.data(), additional.size(), nonce.data(),
                                                       key_.data()) == 0;
    case AeadEngine::boringssl:
      size_t opened = 0;
      if (EVP_AEAD_CTX_open(reinterpret_cast<const EVP_AEAD_CTX *>(context_->data()), message.data(), &opened,
                            message.size(), nonce.data(), nonce.size(), message.data(), message.size(),
                            additional.data(), additional.size())) {
        return true;
      }
      // BoringSSL notes the failure in this thread's error queue, where TLS would find it.
      ERR_clear_error();
  }
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
