#include "crypto/ipsec_mb.h"

#include "crypto/aead.h"

#if __has_include(<intel-ipsec-mb.h>)

#include <intel-ipsec-mb.h>
#include <sodium.h>

#include <cstdlib>

namespace slipgate::ipsec_mb {
namespace {

// What the library calls its manager: a ring of jobs and a table of functions. Each thread has its own, as jobs of two
// may not mix; it goes with the thread.
struct Manager {
  Manager() {
    if (!mgr || !(mgr->features & IMB_FEATURE_AVX512_IFMA)) return;
    init_mb_mgr_auto(mgr, nullptr);
    good = imb_get_errno(mgr) == 0;
  }
  ~Manager() {
    if (mgr) free_mb_mgr(mgr);
  }

  IMB_MGR *const mgr = alloc_mb_mgr(0);
  bool good = false;
};

IMB_MGR *manager() {
  thread_local const Manager kManager;
  if (!kManager.good) std::abort();  // no memory for a thread that begins: available() said yes elsewhere
  return kManager.mgr;
}

// A whole message as one job, which costs a fifth less than the same by the library's steps (init, update, finalize).
// ChaCha20-Poly1305 never waits for other jobs: it is done when it is submitted.
void process(IMB_CIPHER_DIRECTION direction, const uint8_t *key, const uint8_t *nonce, MutableBytes text, uint8_t *tag,
             Bytes additional) {
  IMB_MGR *mgr = manager();
  IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);
  job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
  job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
  job->cipher_direction = direction;
  job->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
  job->enc_keys = job->dec_keys = key;
  job->key_len_in_bytes = 32;
  job->iv = nonce;
  job->iv_len_in_bytes = 12;
  job->src = job->dst = text.data();
  job->cipher_start_src_offset_in_bytes = job->hash_start_src_offset_in_bytes = 0;
  job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = text.size();
  job->auth_tag_output = tag;
  job->auth_tag_output_len_in_bytes = kAeadTag;
  job->u.CHACHA20_POLY1305.aad = additional.data();
  job->u.CHACHA20_POLY1305.aad_len_in_bytes = additional.size();
  const IMB_JOB *done = IMB_SUBMIT_JOB_NOCHECK(mgr);
  if (done != job || done->status != IMB_STATUS_COMPLETED) std::abort();
}

}  // namespace

bool available() {
  return Manager().good;
}

void seal(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional) {
  const MutableBytes text = message.first(message.size() - kAeadTag);
  process(IMB_DIR_ENCRYPT, key, nonce, text, text.data() + text.size(), additional);
}

bool open(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional) {
  const MutableBytes text = message.first(message.size() - kAeadTag);
  uint8_t tag[kAeadTag];
  process(IMB_DIR_DECRYPT, key, nonce, text, tag, additional);
  return sodium_memcmp(tag, text.data() + text.size(), kAeadTag) == 0;
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
