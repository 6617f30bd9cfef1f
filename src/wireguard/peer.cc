#include "wireguard/peer.h"

#include <algorithm>
#include <utility>

#include "wire/ip.h"

namespace slipgate::wireguard {
namespace {

constexpr size_t kHeader = sizeof(WireGuardTransport);

// Section 5.4.6: to a multiple of 16, but not beyond what the inside MTU allows.
size_t padded_size(size_t size, size_t mtu) {
  const size_t padded = (size + kPadding - 1) / kPadding * kPadding;  // lesson: wg-padded-to-16
  return size <= mtu ? std::min(padded, mtu) : padded;
}

struct Inner {
  size_t length;  // as its IP header says
  IpAddress source;
};

// None: not IP, or longer than what came.
std::optional<Inner> look_inside(Bytes packet) {
  if (const auto *v4 = view_as<Ipv4Header>(packet); v4 && v4->version() == 4) {
    const size_t length = v4->total_length;
    if (length < sizeof(Ipv4Header) || length > packet.size()) return std::nullopt;  // lesson: wg-inner-length-checked
    return Inner{length, v4->source()};
  }
  if (const auto *v6 = view_as<Ipv6Header>(packet); v6 && v6->version() == 6) {
    const size_t length = sizeof(Ipv6Header) + v6->payload_length;
    if (length > packet.size()) return std::nullopt;
    return Inner{length, v6->source()};
  }
  return std::nullopt;
}

}  // namespace

Packet Common::allocate(size_t size) {
  constexpr size_t kBehind = kPadding + kAeadTag;
  if (pool.capacity() < Packet::kHeadroom + size + kBehind) {
    counters.drop(DropReason::message_too_long);
    return {};
  }
  Packet packet = pool.allocate(size);
  if (!packet) counters.drop(DropReason::buffers_exhausted);
  return packet;
}

Peer::Peer(uint32_t id, const PeerConfig &config, Common &common, Time now)
    : PrefixOwner(common.shard),
      id_(id),
      common_(common),
      timers_(common.wheel, *this),
      config_(config),
      macs_(config.public_key) {
  remote_.public_key = config.public_key;
  remote_.set_identity(common_.identity);
  config_.allowed_ips.clear();
  configure(config, now);
}

Peer::~Peer() {
  drop_staged(DropReason::wireguard_no_session);
  end_pending();
  forget_sessions();
}

PeerStatus Peer::status() const {
  PeerStatus status;
  status.id = id_;
  status.config = config_;
  status.path = path_;
  status.last_handshake = last_handshake_;
  status.received_bytes = received_bytes_;
  status.sent_bytes = sent_bytes_;
  return status;
}

void Peer::configure(const PeerConfig &config, Time now) {
  // Standing sessions were made with the old pre-shared key and stay; the next handshake uses the new one.
  remote_.preshared_key = config.preshared_key;  // lesson: wg-psk-change-keeps-session
  config_.preshared_key = config.preshared_key;
  config_.name = config.name;
  if (config.endpoint) {
    config_.endpoint = config.endpoint;
    if (!path_ || path_->remote != *config.endpoint) path_ = DatagramPath{*config.endpoint, {}, 0};
  }
  config_.persistent_keepalive = config.persistent_keepalive;
  timers_.set_persistent_keepalive(seconds(config.persistent_keepalive), now);
}

void Peer::lose_allowed_ip(const IpPrefix &prefix) {
  std::erase(config_.allowed_ips, prefix);
}

void Peer::identity_changed() {
  end_pending();
  forget_sessions();
  remote_.set_identity(common_.identity);
  handshake_sent_.reset();
}

// Sending, in the order of an inside packet's way.

void Peer::send(Packet packet, Time now) {
  if (!path_) {
    common_.counters.drop(DropReason::wireguard_no_endpoint);
    return;
  }
  if (current_ && staged_.empty() && current_->can_send(now)) {
    if (seal_and_send(std::move(packet), now)) timers_.data_sent(now);
    return;
  }
  stage(std::move(packet));
  send_staged(now);
}

bool Peer::seal_and_send(Packet packet, Time now) {
  const size_t size = packet.size();
  const size_t padding = padded_size(size, common_.mtu) - size;
  if (!packet || packet.headroom() < kHeader || packet.tailroom() < padding + kAeadTag) {
    Packet copy = common_.allocate(size);
    if (!copy) return false;
    std::copy_n(packet.bytes().data(), size, copy.data());
    packet = std::move(copy);
  }
  packet.grow_back(padding + kAeadTag);
  std::fill_n(packet.data() + size, padding, uint8_t{0});
  packet.grow_front(kHeader);
  current_->seal(packet.mutable_bytes());
  emit(std::move(packet), now);
  if (current_->wants_rekey_after_send(now)) begin_handshake(now);
  return true;
}

void Peer::emit(Packet datagram, Time now) {
  sent_bytes_ += datagram.size();
  common_.output->datagrams.push_back({std::move(datagram), *path_});
  timers_.authenticated_sent(now);
}

void Peer::stage(Packet packet) {
  auto drop_oldest = [this] {
    common_.staged_bytes -= staged_.front().held_bytes();
    common_.counters.drop(DropReason::wireguard_staged_overflow);
    staged_.erase(staged_.begin());
  };
  const size_t held = packet.held_bytes();
  // Another peer's packets are never the ones to go.
  while (!staged_.empty() && (staged_.size() >= kStagedPackets || common_.staged_bytes + held > kStagedBytes))
    drop_oldest();
  if (common_.staged_bytes + held > kStagedBytes) {
    common_.counters.drop(DropReason::wireguard_staged_overflow);
    return;
  }
  common_.staged_bytes += held;
  staged_.push_back(std::move(packet));
}

void Peer::send_staged(Time now) {
  if (!current_ || !current_->can_send(now)) {
    begin_handshake(now);
    return;
  }
  for (Packet &packet : std::exchange(staged_, {})) {
    common_.staged_bytes -= packet.held_bytes();
    if (!current_->can_send(now)) {
      common_.counters.drop(DropReason::wireguard_no_session);
      continue;
    }
    if (seal_and_send(std::move(packet), now)) timers_.data_sent(now);
  }
}

void Peer::drop_staged(DropReason reason) {
  for (Packet &packet : std::exchange(staged_, {})) {
    common_.staged_bytes -= packet.held_bytes();
    common_.counters.drop(reason);
  }
}

void Peer::send_keepalive(Time now) {
  if (!path_) return;
  if (!current_ || !current_->can_send(now)) {
    begin_handshake(now);
    return;
  }
  // Empty inside: only header and tag.
  if (Packet packet = common_.allocate(0)) seal_and_send(std::move(packet), now);
}

// Handshakes that we begin.

void Peer::begin_handshake(Time now) {
  timers_.session_wanted();
  send_initiation(now);
}

void Peer::send_initiation(Time now) {
  if (!path_ || !remote_.static_static) return;
  // Section 6.1: never more than one every REKEY_TIMEOUT. An answer that we just gave counts as well: its session may
  // be confirmed any moment.
  if (handshake_sent_ && now - *handshake_sent_ < REKEY_TIMEOUT) {
    timers_.initiation_postponed(now);
    return;
  }
  Packet packet = common_.allocate(sizeof(WireGuardInitiation));
  if (!packet) {
    timers_.initiation_postponed(now);
    return;
  }
  end_pending();
  auto &message = *view_as<WireGuardInitiation>(packet.mutable_bytes());
  const uint32_t index = common_.indices.add(*this);
  std::optional<PendingInitiation> state =
      create_initiation(common_.identity, remote_, common_.clock.next(now), index, message);
  if (!state) {
    common_.indices.remove(index);
    return;
  }
  pending_ = Pending{*state, index};
  macs_.add(packet.mutable_bytes(), now);
  handshake_sent_ = now;
  emit(std::move(packet), now);
  timers_.initiation_sent(now);
}

void Peer::on_silence(bool retry, Time now) {
  // Perhaps our address went away: let the kernel choose again.
  if (path_) *path_ = DatagramPath{path_->remote, {}, 0};
  if (retry) {
    send_initiation(now);
  } else {
    begin_handshake(now);
  }
}

void Peer::give_up_handshake(Time) {
  end_pending();
  drop_staged(DropReason::wireguard_handshake_gave_up);
}

void Peer::receive(const WireGuardResponse &message, const DatagramPath &path, Time now) {
  std::optional<SessionKeys> keys;
  if (pending_) keys = open_response(pending_->state, common_.identity, remote_, message);
  if (!keys) {
    common_.counters.drop(DropReason::wireguard_bad_handshake);
    return;
  }
  const uint32_t index = pending_->index;
  pending_.reset();  // the index lives on in the session: a second answer finds no initiation
  begin_session(std::make_unique<Keypair>(*this, *keys, index, message.sender, true, now), now);
  authenticated(sizeof(message), path, now);
  complete_handshake(now);
  // The responder may not send before it hears us use the session.
  if (staged_.empty()) {
    send_keepalive(now);
  } else {
    send_staged(now);
  }
}

// Handshakes that the peer begins.

void Peer::receive(OpenedInitiation opened, const WireGuardInitiation &message, const DatagramPath &path, Time now) {
  const std::optional<Tai64n> timestamp = open_timestamp(opened, remote_, message);
  if (!timestamp) {
    common_.counters.drop(DropReason::wireguard_bad_handshake);
    return;
  }
  if (*timestamp <= greatest_timestamp_) {  // lesson: wg-initiation-replay-refused
    common_.counters.drop(DropReason::wireguard_replayed_handshake);
    return;
  }
  if (initiation_received_ && now - *initiation_received_ < kInitiationSpacing) {  // lesson: wg-initiation-spacing
    common_.counters.drop(DropReason::wireguard_handshake_flood);
    return;
  }
  Packet packet = common_.allocate(sizeof(WireGuardResponse));
  if (!packet) return;
  const uint32_t index = common_.indices.add(*this);
  const std::optional<SessionKeys> keys =
      create_response(opened, remote_, index, *view_as<WireGuardResponse>(packet.mutable_bytes()));
  if (!keys) {
    common_.indices.remove(index);
    common_.counters.drop(DropReason::wireguard_bad_handshake);
    return;
  }

  greatest_timestamp_ = *timestamp;
  initiation_received_ = now;
  begin_session(std::make_unique<Keypair>(*this, *keys, index, opened.sender, false, now), now);
  authenticated(sizeof(message), path, now);
  macs_.add(packet.mutable_bytes(), now);
  handshake_sent_ = now;
  emit(std::move(packet), now);
}

// A cookie is no sign of where the peer is: anybody on the way who saw our message could have sent it from anywhere.
void Peer::receive(const WireGuardCookieReply &message, Time now) {
  if (!macs_.accept(message, now)) common_.counters.drop(DropReason::wireguard_bad_cookie);
}

// Sessions.

void Peer::begin_session(std::unique_ptr<Keypair> keypair, Time now) {
  common_.indices.set_keypair(keypair->local_index(), *keypair);
  if (keypair->initiator()) {
    // Ours is in use at once. What the peer may still send with comes in by `previous`: a session that it began at the
    // same time and that it will prefer, else the one that was in use.
    end(previous_);
    if (next_) {
      previous_ = std::move(next_);
      end(current_);
    } else {
      previous_ = std::move(current_);
    }
    current_ = std::move(keypair);
  } else {
    // Not in use before the peer uses it: only then is it sure that the peer has it.
    end(next_);
    next_ = std::move(keypair);
    end(previous_);
  }
  timers_.session_derived(now);
}

void Peer::confirm_next(Time now) {
  end(previous_);
  previous_ = std::move(current_);
  current_ = std::move(next_);
  complete_handshake(now);
}

void Peer::complete_handshake(Time now) {
  timers_.handshake_complete();
  late_rekey_sent_ = false;
  last_handshake_ = now;
  common_.counters.handshakes++;
  common_.completed = this;
}

void Peer::end(std::unique_ptr<Keypair> &keypair) {
  if (keypair) common_.indices.remove(keypair->local_index());
  keypair.reset();
}

void Peer::end_pending() {
  if (pending_) common_.indices.remove(pending_->index);
  pending_.reset();
}

// A pending initiation has its own end: after a night asleep it may have been sent a moment before this is due.
void Peer::forget_sessions() {
  end(previous_);
  end(current_);
  end(next_);
}

// Section 6.5: the peer is where its last authenticated packet came from, and is answered from the address that it
// used.
void Peer::authenticated(size_t datagram_size, const DatagramPath &path, Time now) {
  path_ = path;  // lesson: wg-endpoint-follows-data
  received_bytes_ += datagram_size;
  timers_.authenticated_received(now);
}

void Peer::receive(Keypair &keypair, Packet datagram, const DatagramPath &path, Time now) {
  if (std::optional<DropReason> reason = keypair.open(datagram.mutable_bytes(), now)) {
    common_.counters.drop(*reason);
    return;
  }
  authenticated(datagram.size(), path, now);
  const bool confirmed = &keypair == next_.get();
  if (confirmed) confirm_next(now);
  if (keypair.wants_rekey_after_receive(now) && !late_rekey_sent_) {
    late_rekey_sent_ = true;
    begin_handshake(now);
  }
  if (confirmed && !staged_.empty()) send_staged(now);

  datagram.shrink_front(kHeader);
  datagram.shrink_back(kAeadTag);
  if (datagram.size() == 0) return;  // lesson: wg-keepalive-after-data-only
  timers_.data_received(now);

  const std::optional<Inner> inner = look_inside(datagram.bytes());
  if (!inner) {
    common_.counters.drop(DropReason::wireguard_bad_inner);
    return;
  }
  if (last_source_.find(common_.allowed_ips, inner->source) != this) {  // lesson: wg-allowed-ips-on-receive
    common_.counters.drop(DropReason::wireguard_bad_source);
    return;
  }
  common_.last_destination.note(common_.allowed_ips, inner->source, *this);
  datagram.resize(inner->length);  // lesson: wg-inner-length-from-header
  datagram.client = id_;
  datagram.authentic = true;
  common_.output->packets.push_back(std::move(datagram));
}

}  // namespace slipgate::wireguard
