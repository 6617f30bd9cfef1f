// Somebody who sees every datagram between WireGuard devices, knows all public keys, and notes whatever should not be
// seen.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "wire/wireguard_messages.h"

namespace slipgate::test {

class Eavesdropper {
 public:
  // Bytes that must never be on the wire as they are: keys, payloads.
  void watch_for(Bytes secret) { secrets_.emplace_back(secret.begin(), secret.end()); }
  // An inside MTU that is no multiple of 16 ends padding there.
  void set_mtu(size_t mtu) { mtu_ = mtu; }

  void see(Bytes datagram, const Endpoint &from, const Endpoint &to) {
    datagrams++;
    for (const std::vector<uint8_t> &secret : secrets_) {
      if (std::search(datagram.begin(), datagram.end(), secret.begin(), secret.end()) != datagram.end())
        note("a secret in clear");
    }
    const le32 *type = view_as<le32>(datagram);
    if (!type) return note("too short for a type");
    switch (static_cast<WireGuardType>(type->value())) {
      case WireGuardType::initiation:
        initiations++;
        if (const auto *message = whole<WireGuardInitiation>(datagram))
          announce(message->sender, to), mac(message->macs);
        return;
      case WireGuardType::response:
        responses++;
        if (const auto *message = whole<WireGuardResponse>(datagram)) {
          announce(message->sender, to), mac(message->macs);
          known(message->receiver);
        }
        return;
      case WireGuardType::cookie_reply:
        cookie_replies++;
        if (const auto *message = whole<WireGuardCookieReply>(datagram)) known(message->receiver);
        return;
      case WireGuardType::transport: {
        const auto *message = view_as<WireGuardTransport>(datagram);
        if (!message || datagram.size() < 32) return note("transport message too short");
        (datagram.size() == 32 ? keepalives : data)++;
        if (datagram.size() % 16 != 0 && datagram.size() != mtu_ + 32) note("length tells the packet's length");
        known(message->receiver);
        // One counter for each session and direction: 0, 1, 2 …
        uint64_t &next = counters_[{message->receiver, from.to_string()}];
        if (message->counter < next) note("counter used twice");
        next = message->counter + 1;
        return;
      }
    }
    note("unknown type or reserved bytes not zero");
  }

  const std::vector<std::string> &violations() const { return violations_; }
  const std::set<uint32_t> &indices() const { return indices_; }

  size_t datagrams = 0, initiations = 0, responses = 0, cookie_replies = 0, keepalives = 0, data = 0;

 private:
  template <typename Message>
  const Message *whole(Bytes datagram) {
    if (datagram.size() != sizeof(Message)) {
      note("handshake message of a wrong length");
      return nullptr;
    }
    return view_as<Message>(datagram);
  }
  void announce(uint32_t index, const Endpoint &) {
    if (!indices_.insert(index).second) note("index handed out twice");
  }
  void known(uint32_t index) {
    if (!indices_.contains(index)) note("receiver index that nobody handed out");
  }
  void mac(const WireGuardMacs &macs) {
    if (macs.mac1 == std::array<uint8_t, 16>{}) note("mac1 of zeros");
  }
  void note(std::string what) { violations_.push_back(std::move(what)); }

  size_t mtu_ = 0;
  std::vector<std::vector<uint8_t>> secrets_;
  std::set<uint32_t> indices_;
  std::map<std::pair<uint32_t, std::string>, uint64_t> counters_;
  std::vector<std::string> violations_;
};

}  // namespace slipgate::test
