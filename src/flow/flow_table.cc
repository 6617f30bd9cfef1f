#include "flow/flow_table.h"

namespace slipgate {
namespace {

constexpr size_t kFewestBuckets = 256;

Duration idle_timeout_of(const FlowLimits &limits, Protocol protocol) {
  // Echoes are answered at once or never.
  constexpr Duration kEchoIdle = seconds(60);
  switch (protocol) {
    case Protocol::tcp:
      return limits.tcp_idle_timeout;
    case Protocol::udp:
      return limits.udp_idle_timeout;
    case Protocol::icmp:
    case Protocol::icmpv6:
      return kEchoIdle;
  }
  return limits.udp_idle_timeout;
}

}  // namespace

Flow::Flow(FlowTable &table, const FlowKey &flow_key, uint32_t of_client, FlowOwner &flow_owner, Time now)
    : key(flow_key), client(of_client), opened(now), owner(flow_owner), table_(table), timer_(*this) {
  last_active = now;
}

// touch() only stores the time; the timer, when it fires, looks whether that was long ago (lazy re-arming).
void Flow::on_timer(Timer &timer, Time now) {
  Time idle_since = last_active + idle_timeout_;
  if (idle_since > now) {  // lesson: flow-idle-lazy
    table_.timers_.arm(timer, idle_since);
    return;
  }
  table_.timers_.arm(timer, now + idle_timeout_);
  owner.on_idle(*this);
}

bool FlowBudget::take() {
  if (open_.fetch_add(1, std::memory_order_relaxed) < most_) return true;
  give();
  return false;
}

FlowTable::FlowTable(const FlowLimits &limits, TimerWheel &timers, const uint64_t secret[2], FlowBudget *budget)
    : limits_(limits), timers_(timers), secret_{secret[0], secret[1]}, budget_(budget), buckets_(kFewestBuckets) {}

FlowTable::~FlowTable() {
  for_each([this](Flow &flow) {
    if (budget_) budget_->give();
    delete &flow;
  });
}

std::variant<Flow *, DropReason> FlowTable::open(const FlowKey &key, uint32_t client, FlowState state,
                                                 FlowOwner &owner) {
  if (size_ >= limits_.max_flows) return DropReason::too_many_flows;  // lesson: flow-table-bounded
  auto known = clients_.find(client);
  if (known != clients_.end()) {
    const Flow::Client &counts = known->second;
    if (counts.flows >= limits_.max_flows_per_client) return DropReason::too_many_flows_of_client;
    bool too_many = state == FlowState::connecting && counts.connecting >= limits_.max_connecting_per_client;
    if (too_many) return DropReason::too_many_connecting;  // lesson: dials-in-flight-per-client
  } else if (limits_.max_flows_per_client == 0) {
    return DropReason::too_many_flows_of_client;
  }
  if (budget_ && !budget_->take()) return DropReason::too_many_flows;
  if (size_ >= buckets_.size()) grow();

  Flow *flow = new Flow(*this, key, client, owner, timers_.now());
  flow->counts_ = &clients_[client];
  flow->counts_->flows++;
  flow->state_ = state;
  if (state == FlowState::connecting) flow->counts_->connecting++;
  flow->hash_ = keyed_hash(key, secret_);
  Flow *&bucket = buckets_[flow->hash_ & (buckets_.size() - 1)];
  flow->next_ = bucket;
  bucket = flow;
  size_++;
  flow->idle_timeout_ = idle_timeout_of(limits_, key.protocol);
  timers_.arm(flow->timer_, timers_.now() + flow->idle_timeout_);
  return flow;
}

Flow *FlowTable::find(const FlowKey &key) const {
  uint64_t hash = keyed_hash(key, secret_);
  for (Flow *flow = buckets_[hash & (buckets_.size() - 1)]; flow; flow = flow->next_) {
    if (flow->hash_ == hash && flow->key == key) return flow;
  }
  return nullptr;
}

void FlowTable::set_state(Flow &flow, FlowState state) {
  if (flow.state_ == FlowState::connecting && state != FlowState::connecting) flow.counts_->connecting--;
  flow.state_ = state;
  flow.touch(timers_.now());
}

void FlowTable::set_idle_timeout(Flow &flow, Duration timeout) {
  flow.idle_timeout_ = timeout;
  timers_.arm(flow.timer_, flow.last_active + timeout);
}

void FlowTable::close(Flow &flow) {
  Flow **link = &buckets_[flow.hash_ & (buckets_.size() - 1)];
  while (*link != &flow) link = &(*link)->next_;
  *link = flow.next_;
  size_--;
  if (budget_) budget_->give();
  if (flow.state_ == FlowState::connecting) flow.counts_->connecting--;
  if (--flow.counts_->flows == 0) clients_.erase(flow.client);
  delete &flow;
}

// Chains keep their order, newest first.
void FlowTable::grow() {
  std::vector<Flow *> old(buckets_.size() * 2);
  old.swap(buckets_);
  for (Flow *chain : old) {
    Flow *reversed = nullptr;
    while (chain) {
      Flow *flow = chain;
      chain = flow->next_;
      flow->next_ = reversed;
      reversed = flow;
    }
    while (reversed) {
      Flow *flow = reversed;
      reversed = flow->next_;
      Flow *&bucket = buckets_[flow->hash_ & (buckets_.size() - 1)];
      flow->next_ = bucket;
      bucket = flow;
    }
  }
}

size_t FlowTable::flows_of(uint32_t client) const {
  auto known = clients_.find(client);
  return known == clients_.end() ? 0 : known->second.flows;
}

size_t FlowTable::connecting_of(uint32_t client) const {
  auto known = clients_.find(client);
  return known == clients_.end() ? 0 : known->second.connecting;
}

FlowKey mapping_key(const FlowKey &key) {
  FlowKey mapping = key;
  mapping.outside = {IpAddress::any(key.is_v4()), 0};
  return mapping;
}

}  // namespace slipgate
