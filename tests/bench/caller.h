// A WireGuard initiator without timers, sockets or a stack: what measurements and floods speak to a gateway with.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>

#include "crypto/aead.h"
#include "rig.h"
#include "wire/wireguard_messages.h"
#include "wireguard/cookie.h"
#include "wireguard/noise.h"
#include "wireguard/tai64n.h"

namespace slipgate::bench {

// A handshake by the formulas, then a counter.
class Caller {
 public:
  Caller(const wireguard::PublicKey &gateway, uint32_t number, const Secret<32> &key = generate_private_key())
      : number_(number), identity_(key), macs_(gateway) {
    gateway_.public_key = gateway;
    gateway_.set_identity(identity_);
  }

  const wireguard::PublicKey &public_key() const { return identity_.public_key; }
  DatagramPath path() const {
    const auto n = static_cast<uint8_t>(number_);
    return {
        {IpAddress::v4(198, static_cast<uint8_t>(18 + (number_ >> 16)), static_cast<uint8_t>(number_ >> 8), n), 5000},
        {},
        0};
  }

  WireGuardInitiation initiation(Time now) {
    WireGuardInitiation message{};
    pending_ = wireguard::create_initiation(identity_, gateway_, clock_.next(now), number_ + 1, message);
    if (!pending_) fail("no initiation");
    macs_.add({reinterpret_cast<uint8_t *>(&message), sizeof(message)}, now);
    return message;
  }
  void response(Bytes datagram) {
    const auto *message = view_as<WireGuardResponse>(datagram);
    if (!message || message->type != static_cast<uint32_t>(WireGuardType::response)) fail("no response");
    auto keys = wireguard::open_response(*pending_, identity_, gateway_, *message);
    if (!keys) fail("the response does not open");
    send_ = std::make_unique<AeadKey>(keys->send);
    receive_ = std::make_unique<AeadKey>(keys->receive);
    receiver_ = message->sender;
    counter_ = 0;
  }

  // `packet` is an inside packet with room for framing; becomes a datagram.
  void seal(Packet &packet) {
    size_t padded = (packet.size() + 15) / 16 * 16;
    if (packet.size() <= kFullPacket) padded = std::min(padded, kFullPacket);
    const size_t size = packet.size();
    packet.grow_back(padded - size + kAeadTag);
    std::fill_n(packet.data() + size, padded - size, 0);
    packet.grow_front(sizeof(WireGuardTransport));
    auto *header = reinterpret_cast<WireGuardTransport *>(packet.data());
    header->type = static_cast<uint32_t>(WireGuardType::transport);
    header->receiver = receiver_;
    header->counter = counter_;
    send_->seal(counter_++, packet.mutable_bytes().subspan(sizeof(WireGuardTransport)));
  }
  // The inside packet in a datagram to us; empty: a keepalive.
  Bytes open(Packet &packet) {
    const auto *header = view_as<WireGuardTransport>(packet.bytes());
    if (!header || header->receiver != number_ + 1) fail("a datagram for somebody else");
    MutableBytes sealed = packet.mutable_bytes().subspan(sizeof(WireGuardTransport));
    if (!receive_->open(header->counter, sealed)) fail("a datagram that does not open");
    return sealed.first(sealed.size() - kAeadTag);
  }

 private:
  const uint32_t number_;
  wireguard::Identity identity_;
  wireguard::RemoteIdentity gateway_;
  wireguard::MacMaker macs_;
  wireguard::Tai64nClock clock_{seconds(1'700'000'000)};
  std::optional<wireguard::PendingInitiation> pending_;
  std::unique_ptr<AeadKey> send_, receive_;
  uint32_t receiver_ = 0;
  uint64_t counter_ = 0;
};

}  // namespace slipgate::bench
