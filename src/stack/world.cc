#include "stack/world.h"

#include <access.h>

#include <algorithm>

#include "stack/siphash.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"

namespace slipgate {

// The scope that is open on this thread: whose packets lwIP sends, by which link, at what time.
static thread_local LwipScope *open_scope = nullptr;

struct LwipEntries {
  static err_t output(pbuf *packet) { return open_scope->output(packet); }
  // Without an accept function lwIP resets the connection at its third packet.
  static err_t accepted(void *, tcp_pcb *, err_t) { return ERR_OK; }
  static u32_t initial_sequence_number(const ip_addr_t &local_ip, u16_t local_port, const ip_addr_t &remote_ip,
                                       u16_t remote_port) {
    return open_scope->initial_sequence_number(local_ip, local_port, remote_ip, remote_port);
  }
};

// RFC 6528: F(addresses, ports, secret) + a clock of 4 microseconds.
extern "C" u32_t slipgate_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                                  u16_t remote_port) {
  return LwipEntries::initial_sequence_number(*local_ip, local_port, *remote_ip, remote_port);
}

LwipScope::LwipScope(Stack::World &world, Connection &connection)
    : world_(world), connection_(&connection), link_(connection.key.link), dont_fragment_(true) {
  open_scope = this;
  access_show(connection.pcb_, connection.time_wait_, lwip_ticks(world.timers.now()), world.paths.link_mtu(link_));
}

LwipScope::LwipScope(Stack::World &world, uint16_t link, bool dont_fragment)
    : world_(world), connection_(nullptr), link_(link), dont_fragment_(dont_fragment) {
  open_scope = this;
  access_show(nullptr, nullptr, lwip_ticks(world.timers.now()), world.paths.link_mtu(link_));
}

LwipScope::~LwipScope() {
  tcp_pcb *active, *time_wait;
  access_hide(&active, &time_wait);
  open_scope = nullptr;
  if (!connection_) return;
  // Not what a callback said: lwIP can free a PCB without one.
  connection_->pcb_ = active;
  connection_->time_wait_ = time_wait;
}

err_t LwipScope::output(const pbuf *packet) {
  uint8_t *bytes = static_cast<uint8_t *>(packet->payload);
  const size_t transport = bytes[0] >> 4 == 4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  if (connection_) {
    TcpHeader &header = *reinterpret_cast<TcpHeader *>(bytes + transport);
    const size_t payload = packet->tot_len - transport - header.header_length();
    if (holds_acknowledgments_ && header.flags == TcpHeader::kAck && payload == 0) return ERR_OK;
    constexpr uint8_t kEcnFlags = TcpHeader::kEce | TcpHeader::kCwr;
    if (connection_->ecn_ || (header.flags & kEcnFlags)) connection_->mark(bytes, header, payload);
  }
  world_.pending();
  // pcb->mss is the connection's own here: it is larger only while bytes are handed over (connection.cc).
  size_t segment_size = connection_ && connection_->pcb_ ? connection_->pcb_->mss : SIZE_MAX;
  if (!world_.output.take(packet, link_, dont_fragment_, segment_size)) {
    failed_ = true;
    return ERR_MEM;
  }
  if (connection_) {
    connection_->acknowledged_ = reinterpret_cast<const TcpHeader *>(bytes + transport)->acknowledgment;
  }
  return ERR_OK;
}

u32_t LwipScope::initial_sequence_number(const ip_addr_t &local_ip, u16_t local_port, const ip_addr_t &remote_ip,
                                         u16_t remote_port) const {
  uint8_t message[36] = {};
  bool v4 = IP_IS_V4_VAL(local_ip);
  std::memcpy(message, &local_ip, v4 ? 4 : 16);
  std::memcpy(message + 16, &remote_ip, v4 ? 4 : 16);
  std::memcpy(message + 32, &local_port, 2);
  std::memcpy(message + 34, &remote_port, 2);
  // Not the table's key: what is seen of one must say nothing about the other.
  const uint64_t key[2] = {world_.config.secret[1] ^ 0x49534e49534e4953, world_.config.secret[0]};
  uint64_t clock = static_cast<uint64_t>(world_.timers.now().time_since_epoch() / microseconds(4));
  return static_cast<u32_t>(siphash(key, message) + clock);
}

Stack::World::World(const StackConfig &stack_config, TimerWheel &wheel, StackOutput &stack_output,
                    StackEvents &stack_events, Counters &stack_counters)
    : config(stack_config),
      timers(wheel),
      events(stack_events),
      counters(stack_counters),
      reassembled(Reassembly::kBufferBytes, std::max<size_t>(stack_config.max_fragments / 4, 1) + kHeldReassembled, 4),
      paths(wheel, stack_config.mtu, stack_config.link_mtus, stack_config.secret),
      output(stack_output, stack_counters, stack_config, paths),
      table(stack_config.secret),
      reassembly_({.most_datagrams = std::max<size_t>(stack_config.max_fragments / 4, 1)}, reassembled, wheel,
                  stack_counters, stack_config.secret) {
  access_start(LwipEntries::output, LwipEntries::accepted);
  reassembly_.on_timeout([this](const FlowKey &key, uint32_t, Bytes first) {
    bool v4 = key.is_v4();
    send_icmp_error(key, first, key.outside.address, v4 ? icmp::kTimeExceeded : icmpv6::kTimeExceeded,
                    v4 ? icmp::kReassemblyTimeExceeded : icmpv6::kReassemblyTimeExceeded, 0);
  });
}

Stack::World::~World() {
  // Silently: who ends the stack has ended what it cared about.
  finish_run();
  while (TcpEntry *entry = table.any()) {
    if (entry->kind == TcpEntry::Kind::request) {
      forget(static_cast<HeldSyn &>(*entry));
      continue;
    }
    Connection &connection = static_cast<Connection &>(*entry);
    if (tcp_pcb *pcb = connection.pcb_ ? connection.pcb_ : connection.time_wait_) {
      LwipScope scope(*this, connection);
      tcp_err(pcb, nullptr);
      tcp_abandon(pcb, 0);
    }
    table.remove(connection);
    destroy(connection);
  }
  // Those that are over but whose streams have owners still.
  while (over_first_) destroy(*over_first_);
  access_stop();
}

// --- events and work of the turn ---

void Stack::World::has_event(Connection &connection) {
  if (connection.event_at_ != Connection::kNowhere) return;
  connection.event_at_ = static_cast<uint32_t>(events_.size());
  events_.push_back(&connection);
}

void Stack::World::touch(Connection &connection) {
  if (connection.touched_at_ != Connection::kNowhere) return;
  connection.touched_at_ = static_cast<uint32_t>(touched_.size());
  touched_.push_back(&connection);
  pending();
}

void Stack::World::pending() {
  if (pending_handler && !flushing_) pending_handler();
}

void Stack::World::deliver() {
  if (delivering_) return;                          // from within a watcher's call: the loop below is running
  for (size_t at = 0; at < events_.size(); at++) {  // handlers may add to it
    Connection *connection = events_[at];
    if (!connection) continue;
    connection->event_at_ = Connection::kNowhere;
    delivering_ = connection;
    connection->deliver();
    delivering_ = nullptr;
  }
  events_.clear();
}

void Stack::World::flush() {
  flushing_ = true;
  finish_run();
  deliver();
  for (size_t at = 0; at < touched_.size(); at++) {
    Connection *connection = touched_[at];
    if (!connection) continue;
    connection->touched_at_ = Connection::kNowhere;
    connection->flush();
  }
  touched_.clear();
  output.flush();
  flushing_ = false;
  if (!events_.empty()) pending();
}

// --- the end of connections ---

// For a new connection: the oldest that only waits makes room, if it must.
bool Stack::World::has_room() {
  if (table.size() >= config.max_connections && time_wait_first_) time_wait_first_->end_time_wait();
  return table.size() < config.max_connections;
}

bool Stack::World::add_orphan(Connection &connection) {
  Client &owner = client(connection.client);
  if (owner.orphans >= kMostOrphansPerClient) return false;
  owner.orphans++;
  return connection.is_orphan_ = true;
}

void Stack::World::remove_orphan(Connection &connection) {
  if (!std::exchange(connection.is_orphan_, false)) return;
  client(connection.client).orphans--;
  forget_client(connection.client);
}

void Stack::World::entered_time_wait(Connection &connection) {
  if (connection.in_time_wait_list_) return;
  remove_orphan(connection);
  connection.in_time_wait_list_ = true;
  connection.sending_.clear();
  connection.settle_held();
  timers.arm(connection.timer_, timers.now() + kTimeWait);
  connection.previous_time_wait_ = time_wait_last_;
  (time_wait_last_ ? time_wait_last_->next_time_wait_ : time_wait_first_) = &connection;
  time_wait_last_ = &connection;
  if (++time_waits_ > kMostTimeWait) time_wait_first_->end_time_wait();  // lesson: tcp-time-wait-bounded
}

void Stack::World::closed(Connection &connection) {
  if (connection.is_over_) return;
  remove_orphan(connection);
  if (connection.in_table) connections--;
  table.remove(connection);
  connection.timer_.cancel();
  connection.sending_.clear();
  connection.settle_held();
  if (connection.in_time_wait_list_) {
    connection.in_time_wait_list_ = false;
    Connection *before = connection.previous_time_wait_, *behind = connection.next_time_wait_;
    (before ? before->next_time_wait_ : time_wait_first_) = behind;
    (behind ? behind->previous_time_wait_ : time_wait_last_) = before;
    connection.previous_time_wait_ = connection.next_time_wait_ = nullptr;
    time_waits_--;
  }
  if (!connection.has_owner()) {
    destroy(connection);
    return;
  }
  connection.is_over_ = true;
  connection.next_over_ = over_first_;
  if (over_first_) over_first_->previous_over_ = &connection;
  over_first_ = &connection;
}

void Stack::World::destroy(Connection &connection) {
  if (connection.touched_at_ != Connection::kNowhere) touched_[connection.touched_at_] = nullptr;
  if (connection.event_at_ != Connection::kNowhere) events_[connection.event_at_] = nullptr;
  if (delivering_ == &connection) delivering_ = nullptr;
  if (connection.is_over_) {
    Connection *before = connection.previous_over_, *behind = connection.next_over_;
    (before ? before->next_over_ : over_first_) = behind;
    if (behind) behind->previous_over_ = before;
  }
  delete &connection;
}

size_t Stack::World::held_limit(uint32_t number) const {
  if (held <= config.max_held) return SIZE_MAX;
  auto found = clients_.find(number);
  if (found == clients_.end() || found->second.held <= config.max_held / clients_.size()) return SIZE_MAX;
  // Those that came before hold more than that already.
  if (held > config.max_held / 2 * 3) return kLeastHeld;
  return std::max(kLeastHeld, config.max_held / clients_.size() / std::max<size_t>(connections, 1));
}

void Stack::World::forget_client(uint32_t number) {
  auto found = clients_.find(number);
  if (found != clients_.end() && found->second.held_syns == 0 && found->second.out_of_order == 0 &&
      found->second.orphans == 0 && found->second.held == 0) {
    clients_.erase(found);
  }
}

}  // namespace slipgate
