// All flows of one shard, TCP, UDP and echo, whichever side opened them: admission, look-up, idle timers, accounting.
//
// The table owns the Flow; what carries it (sockets, relay) belongs to its FlowOwner, who closes it. Pure: no I/O, no
// clock but the wheel's. Lives on one shard.
//
// UDP is endpoint-independent (RFC 4787 REQ-1, REQ-8): all datagrams of one client endpoint share one flow and one host
// socket, whatever their destinations. Such a flow is opened and found under mapping_key(): the outside left
// unspecified. The same serves echo per identifier. Each datagram's destination is still routed on its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/drop_reason.h"
#include "base/timer_wheel.h"
#include "base/traffic.h"
#include "flow/options.h"

namespace slipgate {

class Flow;
class FlowTable;

class FlowOwner {
 public:
  // Nothing passed for the flow's idle timeout. Normally answered with FlowTable::close(); else asked again after as
  // long.
  virtual void on_idle(Flow &flow) = 0;

 protected:
  ~FlowOwner() = default;
};

enum class FlowState : uint8_t {
  connecting,   // being dialled, counted as such; may go to established or be closed
  established,  // bytes and datagrams pass; may go to closing or be closed
  closing,      // one side has finished (half-close, FIN_WAIT_2, LAST_ACK): bytes may pass the other way; may be closed
};

class Flow final : public Traffic, private TimerTarget {
 public:
  const FlowKey key;
  const uint32_t client;
  FlowState state() const { return state_; }

  const Time opened;
  FlowOwner &owner;
  std::string host;  // the host's side, where the key does not say it

  void touch(Time now) { last_active = now; }  // the timer finds out by itself
  Duration idle_timeout() const { return idle_timeout_; }

 private:
  friend class FlowTable;
  struct Client {
    uint32_t flows = 0;
    uint32_t connecting = 0;
  };

  Flow(FlowTable &table, const FlowKey &key, uint32_t client, FlowOwner &owner, Time now);
  void on_timer(Timer &timer, Time now) override;

  FlowTable &table_;
  Client *counts_ = nullptr;
  Flow *next_ = nullptr;  // in the bucket
  uint64_t hash_ = 0;
  Duration idle_timeout_{};
  FlowState state_ = FlowState::established;
  Timer timer_;
};

// How many flows all shards of a gateway may have together. Touched when a flow opens or ends, never by a packet. Any
// thread.
class FlowBudget {
 public:
  explicit FlowBudget(size_t most) : most_(most) {}

  // False: so many are open.
  bool take();
  void give() { open_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  const size_t most_;
  std::atomic<size_t> open_ = 0;
};

class FlowTable {
 public:
  // `limits` are this shard's, `budget` (or none) everybody's. `secret` keys the table.
  FlowTable(const FlowLimits &limits, TimerWheel &timers, const uint64_t secret[2], FlowBudget *budget = nullptr);
  ~FlowTable();
  FlowTable(const FlowTable &) = delete;
  FlowTable &operator=(const FlowTable &) = delete;

  // Admits a flow, in state connecting or established, with the idle timeout of its protocol, or says why not (the
  // caller counts and refuses). A key may be opened again while its old flow is still being closed: a client that
  // reuses a source port at once. find() gives the newest. `owner` outlives the flow.
  std::variant<Flow *, DropReason> open(const FlowKey &key, uint32_t client, FlowState state, FlowOwner &owner);
  Flow *find(const FlowKey &key) const;

  void set_state(Flow &flow, FlowState state);
  // For states that deserve less patience than the protocol's timeout.
  void set_idle_timeout(Flow &flow, Duration timeout);
  // Forgets and destroys it.
  void close(Flow &flow);

  size_t size() const { return size_; }
  size_t flows_of(uint32_t client) const;
  size_t connecting_of(uint32_t client) const;
  // All flows, in no order; `visit` may close the one that it is given.
  template <typename Visit>
  void for_each(Visit visit) {
    for (size_t i = 0; i < buckets_.size(); i++) {
      for (Flow *flow = buckets_[i], *next; flow; flow = next) {
        next = flow->next_;
        visit(*flow);
      }
    }
  }

 private:
  friend class Flow;
  void grow();

  const FlowLimits limits_;
  TimerWheel &timers_;
  const uint64_t secret_[2];
  FlowBudget *const budget_;
  std::vector<Flow *> buckets_;  // chains; a power of two of them
  size_t size_ = 0;
  std::unordered_map<uint32_t, Flow::Client> clients_;  // those with flows
};

// The key of the endpoint-independent mapping that a datagram's or echo's key belongs to.
FlowKey mapping_key(const FlowKey &key);

}  // namespace slipgate
