// The handshake Noise_IKpsk2 (whitepaper sections 5.4.1 to 5.4.5), formulas only: nothing here knows peers, indices,
// time or limits. Each function works on copies; what it returns is whole or nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/secret.h"
#include "crypto/x25519.h"
#include "wire/wireguard_messages.h"
#include "wireguard/tai64n.h"

namespace slipgate::wireguard {

using Hash = std::array<uint8_t, 32>;
using PublicKey = X25519PublicKey;

// Our long-lived key pair. A private key of zeros is none: nobody is answered, nobody is called.
struct Identity {
  Secret<32> private_key;
  PublicKey public_key{};
  bool present = false;

  explicit Identity(const Secret<32> &key) : private_key(key), present(!key.is_zero()) {
    if (!present) return;
    clamp(private_key);
    public_key = public_key_of(private_key);
  }
};

// What we know of a peer before any message.
struct RemoteIdentity {
  PublicKey public_key{};
  Secret<32> preshared_key;                 // Q; zeros: none
  std::optional<Secret<32>> static_static;  // DH(Spriv_us, Spub_them), made once; none: no handshake is possible

  void set_identity(const Identity &us) {
    static_static = us.present ? x25519(us.private_key, public_key) : std::nullopt;
  }
};

// Ci or Cr, Hi or Hr.
struct Transcript {
  Secret<32> chaining_key;
  Hash hash{};
};

// Section 5.4.5: the keys of one session.
struct SessionKeys {
  Secret<32> send;
  Secret<32> receive;
};

// What the initiator keeps between its message and the answer.
struct PendingInitiation {
  Transcript transcript;
  Secret<32> ephemeral;
};

// What the responder has after the first half of an initiation: enough to look the peer up.
struct OpenedInitiation {
  Transcript transcript;
  PublicKey static_key{};
  PublicKey ephemeral{};
  uint32_t sender = 0;
};

// Section 5.4.2, initiator. Fills `message` up to the macs.
std::optional<PendingInitiation> create_initiation(const Identity &us, const RemoteIdentity &them,
                                                   const Tai64n &timestamp, uint32_t sender,
                                                   WireGuardInitiation &message);

// Section 5.4.2, responder, first half: who calls? None: not made for our key, or damaged.
std::optional<OpenedInitiation> open_initiation(const Identity &us, const WireGuardInitiation &message);
// Second half, when the peer is known: proves that the caller holds that key, gives the timestamp.
std::optional<Tai64n> open_timestamp(OpenedInitiation &opened, const RemoteIdentity &them,
                                     const WireGuardInitiation &message);

// Section 5.4.3, responder. Fills `message` up to the macs; the session follows.
std::optional<SessionKeys> create_response(const OpenedInitiation &opened, const RemoteIdentity &them, uint32_t sender,
                                           WireGuardResponse &message);

// Section 5.4.3, initiator.
std::optional<SessionKeys> open_response(const PendingInitiation &pending, const Identity &us,
                                         const RemoteIdentity &them, const WireGuardResponse &message);

}  // namespace slipgate::wireguard
