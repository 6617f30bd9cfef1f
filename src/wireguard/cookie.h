// The two macs that end every handshake message, and cookies (whitepaper sections 5.3, 5.4.4 and 5.4.7).
//
// mac1 proves that the sender knows our public key, so that strangers get no answer at all. mac2 proves that the sender
// receives what is sent to its address: it is made with a cookie, which a busy responder sends instead of an answer.
//
// Lives on one shard.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"
#include "base/secret.h"
#include "base/time.h"
#include "wire/wireguard_messages.h"
#include "wireguard/noise.h"

namespace slipgate::wireguard {

using Mac = std::array<uint8_t, 16>;

// The receiver's side: checks macs of messages to us, makes cookies.
class MacChecker {
 public:
  explicit MacChecker(const PublicKey &ours) { set_public_key(ours); }
  void set_public_key(const PublicKey &ours);

  // `message` is a whole initiation or response.
  bool mac1_is_valid(Bytes message) const;
  bool mac2_is_valid(Bytes message, const Endpoint &source, Time now);
  // The answer to `message`, whose mac1 is valid and whose sender index is `sender`.
  WireGuardCookieReply make_reply(Bytes message, uint32_t sender, const Endpoint &source, Time now);

 private:
  // Mac(R, address and port), where R changes every COOKIE_SECRET_MAX_AGE.
  Mac cookie_for(const Endpoint &source, Time now);

  Hash mac1_key_{};
  Secret<32> cookie_key_;
  Secret<32> secret_;
  Time secret_made_ = Time::min();
};

// The sender's side, one for each peer: puts macs on messages to it, keeps the cookie that it sent.
class MacMaker {
 public:
  explicit MacMaker(const PublicKey &theirs);

  // Fills the macs at the end of a whole message; mac2 stays zero without a cookie that is still good.
  void add(MutableBytes message, Time now);
  // Takes a cookie; false when it is not the answer to the last message sent, or does not open.
  bool accept(const WireGuardCookieReply &reply, Time now);

 private:
  Hash mac1_key_{};
  Secret<32> cookie_key_;
  std::optional<Mac> last_mac1_;  // of a message that no cookie answered yet
  std::optional<Mac> cookie_;
  Time cookie_received_{};
};

}  // namespace slipgate::wireguard
