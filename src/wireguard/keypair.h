// One session (whitepaper section 5.4.5): two keys, our counter, the other's replay window, and how long it may live.
//
// Lives on one shard, owned by its peer.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/drop_reason.h"
#include "base/prefetch.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "wireguard/constants.h"
#include "wireguard/noise.h"
#include "wireguard/replay_window.h"

namespace slipgate::wireguard {

class Peer;

class Keypair {
 public:
  // `first_counter` is 0 but in tests of the counter's end.
  Keypair(Peer &owner, const SessionKeys &keys, uint32_t local, uint32_t remote, bool is_initiator, Time now,
          uint64_t first_counter = 0);

  Peer &peer() const { return peer_; }
  uint32_t local_index() const { return local_index_; }
  uint32_t remote_index() const { return remote_index_; }
  bool initiator() const { return initiator_; }
  Duration age(Time now) const { return now - created_; }

  // Neither too old nor used up: may send.
  bool can_send(Time now) const;
  // Whether sending or receiving now asks for a new session (section 6.2).
  bool wants_rekey_after_send(Time now) const;
  bool wants_rekey_after_receive(Time now) const;

  // `message` is a whole transport message: header, `plain` (already padded) and room for the tag. Only when
  // can_send().
  void seal(MutableBytes message);
  // open() of a message with this counter is next.
  void prefetch_for(uint64_t counter) const {
    prefetch(this, &window_);
    window_.prefetch_for(counter);
  }
  // The message's header was looked at, its index is ours. When none is returned it is open between header and tag.
  std::optional<DropReason> open(MutableBytes message, Time now);

 private:
  Peer &peer_;
  const AeadKey send_key_;
  const AeadKey receive_key_;
  const uint32_t local_index_;
  const uint32_t remote_index_;
  const bool initiator_;
  const Time created_;
  uint64_t next_counter_;  // 64 bits on every machine
  ReplayWindow window_;
};

}  // namespace slipgate::wireguard
