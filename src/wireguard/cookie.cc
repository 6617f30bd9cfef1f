#include "wireguard/cookie.h"

#include <algorithm>

#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "crypto/compare.h"
#include "crypto/random.h"
#include "wireguard/constants.h"

namespace slipgate::wireguard {
namespace {

constexpr std::string_view kLabelMac1 = "mac1----";
constexpr std::string_view kLabelCookie = "cookie--";

// msga and msgb of section 5.4.4: the message before mac1, and before mac2.
Bytes before_mac1(Bytes message) {
  return message.first(message.size() - sizeof(WireGuardMacs));
}
Bytes before_mac2(Bytes message) {
  return message.first(message.size() - sizeof(Mac));
}

const WireGuardMacs &macs_of(Bytes message) {
  return *view_as<WireGuardMacs>(message.last(sizeof(WireGuardMacs)));
}

}  // namespace

void MacChecker::set_public_key(const PublicKey &ours) {
  mac1_key_ = blake2s({bytes_of(kLabelMac1), ours});
  cookie_key_ = Secret<32>(blake2s({bytes_of(kLabelCookie), ours}));
}

bool MacChecker::mac1_is_valid(Bytes message) const {
  return equal_in_constant_time(blake2s_mac(mac1_key_, {before_mac1(message)}), macs_of(message).mac1);
}

bool MacChecker::mac2_is_valid(Bytes message, const Endpoint &source, Time now) {
  return equal_in_constant_time(blake2s_mac(cookie_for(source, now), {before_mac2(message)}), macs_of(message).mac2);
}

WireGuardCookieReply MacChecker::make_reply(Bytes message, uint32_t sender, const Endpoint &source, Time now) {
  const Mac cookie = cookie_for(source, now);
  WireGuardCookieReply reply;
  reply.type = static_cast<uint32_t>(WireGuardType::cookie_reply);
  reply.receiver = sender;
  fill_random(reply.nonce);
  // msg.cookie := Xaead(Hash(Label-Cookie || Spub), nonce, cookie, M), M the mac1 of the message that it answers
  std::copy(cookie.begin(), cookie.end(), reply.sealed_cookie.begin());
  xaead_seal(cookie_key_, reply.nonce, reply.sealed_cookie, macs_of(message).mac1);
  return reply;
}

Mac MacChecker::cookie_for(const Endpoint &source, Time now) {
  if (secret_made_ == Time::min() || now - secret_made_ >= COOKIE_SECRET_MAX_AGE) {
    fill_random(secret_.mutable_bytes());
    secret_made_ = now;
  }
  const be16 port(source.port);
  return blake2s_mac(secret_.bytes(), {source.address.v6_bytes(), bytes_of(port)});  // lesson: wg-cookie-covers-port
}

MacMaker::MacMaker(const PublicKey &theirs)
    : mac1_key_(blake2s({bytes_of(kLabelMac1), theirs})), cookie_key_(blake2s({bytes_of(kLabelCookie), theirs})) {}

void MacMaker::add(MutableBytes message, Time now) {
  WireGuardMacs &macs = *view_as<WireGuardMacs>(message.last(sizeof(WireGuardMacs)));
  macs.mac1 = blake2s_mac(mac1_key_, {before_mac1(message)});
  last_mac1_ = macs.mac1;
  if (cookie_ && now - cookie_received_ < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY) {
    macs.mac2 = blake2s_mac(*cookie_, {before_mac2(message)});
  } else {
    macs.mac2 = {};
  }
}

bool MacMaker::accept(const WireGuardCookieReply &reply, Time now) {
  if (!last_mac1_) return false;
  std::array<uint8_t, sizeof(reply.sealed_cookie)> opened = reply.sealed_cookie;
  if (!xaead_open(cookie_key_, reply.nonce, opened, *last_mac1_)) return false;
  Mac cookie;
  std::copy_n(opened.begin(), cookie.size(), cookie.begin());
  cookie_ = cookie;
  cookie_received_ = now;
  last_mac1_.reset();
  return true;
}

}  // namespace slipgate::wireguard
