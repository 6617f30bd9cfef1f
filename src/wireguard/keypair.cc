#include "wireguard/keypair.h"

#include "wire/wireguard_messages.h"

namespace slipgate::wireguard {

Keypair::Keypair(Peer &owner, const SessionKeys &keys, uint32_t local, uint32_t remote, bool is_initiator, Time now,
                 uint64_t first_counter)
    : peer_(owner),
      send_key_(keys.send),
      receive_key_(keys.receive),
      local_index_(local),
      remote_index_(remote),
      initiator_(is_initiator),
      created_(now),
      next_counter_(first_counter) {}

bool Keypair::can_send(Time now) const {
  if (age(now) >= REJECT_AFTER_TIME) return false;           // lesson: wg-reject-after-time-send
  if (next_counter_ >= REJECT_AFTER_MESSAGES) return false;  // lesson: wg-reject-after-messages-send
  return true;
}

bool Keypair::wants_rekey_after_send(Time now) const {
  return next_counter_ > REKEY_AFTER_MESSAGES || (initiator_ && age(now) >= REKEY_AFTER_TIME);
}

bool Keypair::wants_rekey_after_receive(Time now) const {
  // Late enough that a handshake begun now just ends before this session does.
  return initiator_ && age(now) >= REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
}

void Keypair::seal(MutableBytes message) {
  auto *header = view_as<WireGuardTransport>(message);
  const uint64_t counter = next_counter_++;
  header->type = static_cast<uint32_t>(WireGuardType::transport);
  header->receiver = remote_index_;
  header->counter = counter;
  send_key_.seal(counter, message.subspan(sizeof(WireGuardTransport)));
}

std::optional<DropReason> Keypair::open(MutableBytes message, Time now) {
  const uint64_t counter = view_as<WireGuardTransport>(Bytes(message))->counter;
  receive_key_.prefetch_key();
  send_key_.prefetch_key();  // for the answer
  if (age(now) >= REJECT_AFTER_TIME)
    return DropReason::wireguard_expired_session;  // lesson: wg-reject-after-time-receive
  if (counter >= REJECT_AFTER_MESSAGES)
    return DropReason::wireguard_expired_session;  // lesson: wg-reject-after-messages-receive
  if (!window_.fresh(counter)) return DropReason::wireguard_replay;
  if (!receive_key_.open(counter, message.subspan(sizeof(WireGuardTransport)))) return DropReason::wireguard_bad_tag;
  window_.mark(counter);
  return std::nullopt;
}

}  // namespace slipgate::wireguard
