#include "wireguard/noise.h"

#include <algorithm>
#include <string_view>

#include "crypto/aead.h"
#include "crypto/blake2s.h"

namespace slipgate::wireguard {
namespace {

constexpr std::string_view kConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view kIdentifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";

// H := Hash(H || data)
void mix_hash(Transcript &transcript, Bytes data) {
  transcript.hash = blake2s({transcript.hash, data});
}

// C := Kdf1(C, data)
void mix_key(Transcript &transcript, Bytes data) {
  transcript.chaining_key = kdf<1>(transcript.chaining_key, data)[0];
}

// (C, k) := Kdf2(C, DH)
Secret<32> mix_dh(Transcript &transcript, const Secret<32> &shared) {
  std::array<Secret<32>, 2> keys = kdf<2>(transcript.chaining_key, shared.bytes());
  transcript.chaining_key = keys[0];
  return keys[1];
}

// msg := Aead(k, 0, plain, H); H := Hash(H || msg)
template <size_t N>
void seal_and_mix(Transcript &transcript, const Secret<32> &key, Bytes plain, std::array<uint8_t, N> &message) {
  std::copy(plain.begin(), plain.end(), message.begin());
  AeadKey(key).seal(0, message, transcript.hash);
  mix_hash(transcript, message);
}

// The other way: the plaintext, or none when it does not authenticate.
template <size_t N>
std::optional<std::array<uint8_t, N - kAeadTag>> open_and_mix(Transcript &transcript, const Secret<32> &key,
                                                              const std::array<uint8_t, N> &message) {
  std::array<uint8_t, N> opened = message;
  if (!AeadKey(key).open(0, opened, transcript.hash)) return std::nullopt;
  mix_hash(transcript, message);
  std::array<uint8_t, N - kAeadTag> plain;
  std::copy_n(opened.begin(), plain.size(), plain.begin());
  return plain;
}

// C := Hash(Construction); H := Hash(Hash(C || Identifier) || Spub_r)
Transcript begin(const PublicKey &responder) {
  static const Hash kChain = blake2s({bytes_of(kConstruction)});
  static const Hash kStart = blake2s({kChain, bytes_of(kIdentifier)});
  Transcript transcript{Secret<32>(kChain), kStart};
  mix_hash(transcript, responder);
  return transcript;
}

// (C, t, k) := Kdf3(C, Q); H := Hash(H || t)
Secret<32> mix_preshared_key(Transcript &transcript, const Secret<32> &preshared_key) {
  std::array<Secret<32>, 3> keys = kdf<3>(transcript.chaining_key, preshared_key.bytes());
  transcript.chaining_key = keys[0];
  mix_hash(transcript, keys[1].bytes());
  return keys[2];
}

// (Tsend_i = Trecv_r, Trecv_i = Tsend_r) := Kdf2(C, nothing)
SessionKeys derive(const Transcript &transcript, bool initiator) {
  std::array<Secret<32>, 2> keys = kdf<2>(transcript.chaining_key, {});
  return initiator ? SessionKeys{keys[0], keys[1]} : SessionKeys{keys[1], keys[0]};
}

}  // namespace

std::optional<PendingInitiation> create_initiation(const Identity &us, const RemoteIdentity &them,
                                                   const Tai64n &timestamp, uint32_t sender,
                                                   WireGuardInitiation &message) {
  if (!them.static_static) return std::nullopt;
  PendingInitiation pending{begin(them.public_key), generate_private_key()};
  Transcript &transcript = pending.transcript;
  message.type = static_cast<uint32_t>(WireGuardType::initiation);
  message.sender = sender;

  // msg.ephemeral := Epub_i; C := Kdf1(C, Epub_i); H := Hash(H || msg.ephemeral)
  message.ephemeral = public_key_of(pending.ephemeral);
  mix_key(transcript, message.ephemeral);
  mix_hash(transcript, message.ephemeral);

  // (C, k) := Kdf2(C, DH(Epriv_i, Spub_r)); msg.static := Aead(k, 0, Spub_i, H)
  std::optional<Secret<32>> shared = x25519(pending.ephemeral, them.public_key);
  if (!shared) return std::nullopt;
  seal_and_mix(transcript, mix_dh(transcript, *shared), us.public_key, message.sealed_static);

  // (C, k) := Kdf2(C, DH(Spriv_i, Spub_r)); msg.timestamp := Aead(k, 0, Timestamp(), H)
  seal_and_mix(transcript, mix_dh(transcript, *them.static_static), timestamp, message.sealed_timestamp);
  return pending;
}

std::optional<OpenedInitiation> open_initiation(const Identity &us, const WireGuardInitiation &message) {
  if (!us.present) return std::nullopt;
  OpenedInitiation opened{begin(us.public_key), {}, message.ephemeral, message.sender};
  Transcript &transcript = opened.transcript;

  // C := Kdf1(C, msg.ephemeral); H := Hash(H || msg.ephemeral)
  mix_key(transcript, message.ephemeral);
  mix_hash(transcript, message.ephemeral);

  // (C, k) := Kdf2(C, DH(Spriv_r, Epub_i)); Spub_i := open(msg.static)
  std::optional<Secret<32>> shared = x25519(us.private_key, message.ephemeral);
  if (!shared) return std::nullopt;
  std::optional<PublicKey> static_key = open_and_mix(transcript, mix_dh(transcript, *shared), message.sealed_static);
  if (!static_key) return std::nullopt;
  opened.static_key = *static_key;
  return opened;
}

std::optional<Tai64n> open_timestamp(OpenedInitiation &opened, const RemoteIdentity &them,
                                     const WireGuardInitiation &message) {
  if (!them.static_static) return std::nullopt;
  // (C, k) := Kdf2(C, DH(Spriv_r, Spub_i)); Timestamp := open(msg.timestamp)
  return open_and_mix(opened.transcript, mix_dh(opened.transcript, *them.static_static), message.sealed_timestamp);
}

std::optional<SessionKeys> create_response(const OpenedInitiation &opened, const RemoteIdentity &them, uint32_t sender,
                                           WireGuardResponse &message) {
  Transcript transcript = opened.transcript;
  const Secret<32> ephemeral = generate_private_key();
  message.type = static_cast<uint32_t>(WireGuardType::response);
  message.sender = sender;
  message.receiver = opened.sender;

  // msg.ephemeral := Epub_r; C := Kdf1(C, Epub_r); H := Hash(H || msg.ephemeral)
  message.ephemeral = public_key_of(ephemeral);
  mix_key(transcript, message.ephemeral);
  mix_hash(transcript, message.ephemeral);

  // C := Kdf1(C, DH(Epriv_r, Epub_i)); C := Kdf1(C, DH(Epriv_r, Spub_i))
  std::optional<Secret<32>> with_ephemeral = x25519(ephemeral, opened.ephemeral);
  std::optional<Secret<32>> with_static = x25519(ephemeral, them.public_key);
  if (!with_ephemeral || !with_static) return std::nullopt;
  mix_key(transcript, with_ephemeral->bytes());
  mix_key(transcript, with_static->bytes());

  // (C, t, k) := Kdf3(C, Q); H := Hash(H || t); msg.empty := Aead(k, 0, nothing, H)
  seal_and_mix(transcript, mix_preshared_key(transcript, them.preshared_key), {}, message.sealed_nothing);
  return derive(transcript, false);
}

std::optional<SessionKeys> open_response(const PendingInitiation &pending, const Identity &us,
                                         const RemoteIdentity &them, const WireGuardResponse &message) {
  Transcript transcript = pending.transcript;

  // C := Kdf1(C, msg.ephemeral); H := Hash(H || msg.ephemeral)
  mix_key(transcript, message.ephemeral);
  mix_hash(transcript, message.ephemeral);

  // C := Kdf1(C, DH(Epriv_i, Epub_r)); C := Kdf1(C, DH(Spriv_i, Epub_r))
  std::optional<Secret<32>> with_ephemeral = x25519(pending.ephemeral, message.ephemeral);
  std::optional<Secret<32>> with_static = x25519(us.private_key, message.ephemeral);
  if (!with_ephemeral || !with_static) return std::nullopt;
  mix_key(transcript, with_ephemeral->bytes());
  mix_key(transcript, with_static->bytes());

  // (C, t, k) := Kdf3(C, Q); H := Hash(H || t); nothing := open(msg.empty)
  if (!open_and_mix(transcript, mix_preshared_key(transcript, them.preshared_key), message.sealed_nothing))
    return std::nullopt;
  return derive(transcript, true);
}

}  // namespace slipgate::wireguard
