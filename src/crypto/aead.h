// ChaCha20-Poly1305 (RFC 8439) with a 64-bit counter as nonce, in place; and XChaCha20-Poly1305 for the rare message
// with a random nonce.
//
// Three libraries can do the first, and the fastest is chosen that proves at start to give what libsodium gives:
// Intel's (crypto/ipsec_mb.h) where the processor has AVX-512 IFMA, else BoringSSL, 1.8 times as fast as libsodium. Any
// thread; one AeadKey may be used by several at once. Nothing allocates per message.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/prefetch.h"
#include "base/secret.h"

namespace slipgate {

inline constexpr size_t kAeadTag = 16;

enum class AeadEngine : uint8_t {
  sodium,
  boringssl,
  ipsec_mb,
};
// The one in use in this process.
AeadEngine best_aead_engine();

class AeadKey {
 public:
  explicit AeadKey(const Secret<32> &key, AeadEngine engine = best_aead_engine());
  ~AeadKey();
  AeadKey(const AeadKey &) = delete;
  AeadKey &operator=(const AeadKey &) = delete;

  // `message` is the plaintext followed by room for the tag (16 bytes); it becomes ciphertext and tag.
  // The nonce is four zero bytes and the counter, little endian: never the same one twice with one key.
  void seal(uint64_t counter, MutableBytes message, Bytes additional = {}) const;
  // `message` is ciphertext and tag; without its last 16 bytes it becomes the plaintext. False, and the message is
  // garbage, when it does not authenticate or is shorter than a tag.
  [[nodiscard]] bool open(uint64_t counter, MutableBytes message, Bytes additional = {}) const;

  // seal() or open() is next.
  void prefetch_key() const { prefetch(key_.data(), key_.data() + Secret<32>::kSize); }

  // BoringSSL's context; its header is not shown to who includes this one.
  static constexpr size_t kContextBytes = 640;

 private:
  const AeadEngine engine_;
  const Secret<32> key_;
  std::optional<Secret<kContextBytes>> context_;  // BoringSSL's only
};

// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), as the cookie reply uses it. Same conventions.
using XNonce = std::array<uint8_t, 24>;
void xaead_seal(const Secret<32> &key, const XNonce &nonce, MutableBytes message, Bytes additional);
[[nodiscard]] bool xaead_open(const Secret<32> &key, const XNonce &nonce, MutableBytes message, Bytes additional);

}  // namespace slipgate
