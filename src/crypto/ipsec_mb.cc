#include "crypto/ipsec_mb.h"

#include "crypto/aead.h"

#if __has_include(<intel-ipsec-mb.h>)

#include <intel-ipsec-mb.h>
#include <sodium.h>

#include <cstdlib>

namespace slipgate::ipsec_mb {
namespace {

// What the library calls its manager: for single messages no more than a table of functions, which all threads share.
// It stays as long as the process.
IMB_MGR *make_manager() {
  IMB_MGR *made = alloc_mb_mgr(0);
  if (!made) return nullptr;
  if (made->features & IMB_FEATURE_AVX512_IFMA) {
    init_mb_mgr_auto(made, nullptr);
    if (imb_get_errno(made) == 0) return made;
  }
  free_mb_mgr(made);
  return nullptr;
}

IMB_MGR *manager() {
  static IMB_MGR *const kManager = make_manager();
  return kManager;
}

}  // namespace

bool available() {
  return manager() != nullptr;
}

void seal(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional) {
  const size_t plain = message.size() - kAeadTag;
  chacha20_poly1305_context_data context;
  IMB_CHACHA20_POLY1305_INIT(manager(), key, &context, nonce, additional.data(), additional.size());
  IMB_CHACHA20_POLY1305_ENC_UPDATE(manager(), key, &context, message.data(), message.data(), plain);
  IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager(), &context, message.data() + plain, kAeadTag);
}

bool open(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional) {
  const size_t sealed = message.size() - kAeadTag;
  uint8_t tag[kAeadTag];
  chacha20_poly1305_context_data context;
  IMB_CHACHA20_POLY1305_INIT(manager(), key, &context, nonce, additional.data(), additional.size());
  IMB_CHACHA20_POLY1305_DEC_UPDATE(manager(), key, &context, message.data(), message.data(), sealed);
  IMB_CHACHA20_POLY1305_DEC_FINALIZE(manager(), &context, tag, kAeadTag);
  return sodium_memcmp(tag, message.data() + sealed, kAeadTag) == 0;
}

}  // namespace slipgate::ipsec_mb

#else  // other processors than x86 do not have it

namespace slipgate::ipsec_mb {

bool available() {
  return false;
}
void seal(const uint8_t *, const uint8_t *, MutableBytes, Bytes) {}
bool open(const uint8_t *, const uint8_t *, MutableBytes, Bytes) {
  return false;
}

}  // namespace slipgate::ipsec_mb

#endif
