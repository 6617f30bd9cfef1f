// What the services of one shard share, and what a flow's coroutine holds while it runs.
#pragma once

#include <optional>
#include <utility>

#include "base/address.h"
#include "flow/flow_table.h"
#include "flow/route.h"
#include "gateway/client_turns.h"
#include "gateway/mapped_ports.h"
#include "gateway/rates.h"
#include "host/udp.h"
#include "io/task.h"
#include "shard/shard.h"

namespace slipgate {

namespace dns {
class Server;
class Resolver;
}  // namespace dns

// Where the client of an inside address is.
struct ClientPlace {
  uint16_t link = 0;
  uint32_t shard = 0;
  uint32_t id = 0;  // Packet::client there; 0: another shard's, whose business it is
};

struct Context {
  Loop &loop;
  Shard &shard;
  FlowTable &flows;
  const Router &router;
  dns::Server &dns;
  dns::Resolver &resolver;
  const FlowLimits &limits;
  const HostDatagramPort::Options &source;  // local addresses of outgoing host sockets
  MappedPorts &mapped_ports;
  Rates &rates;
  bool draining = false;  // no new flows
  ClientTurns turns{};
  size_t waiting_bytes = 0;  // of datagrams for targets whose names are being resolved

  // What holds back what goes to this client; null: nothing.
  Pace *pace_down(uint32_t client) const {
    Rates::Paces *paces = rates.of(client);
    return paces ? &paces->down : nullptr;
  }
  // Whether a datagram for the client that cannot be held back may go; counted if not.
  bool admit_down(uint32_t client, size_t bytes) const {
    Pace *pace = pace_down(client);
    if (!pace || pace->admit(bytes)) return true;
    counters().drop(DropReason::rate_of_client);
    return false;
  }
  Counters &counters() const { return shard.counters(); }
  Stack &stack() const { return shard.stack(); }
  std::optional<IpAddress> source_for(const IpAddress &destination) const {
    return destination.is_v4() ? source.source_ipv4 : source.source_ipv6;
  }
};

// Who tells a client that a packet was refused: the destination, whose answer it stands for; but a TTL ran out at us.
inline IpAddress speaker(const Context &context, const FlowKey &key, DropReason reason) {
  IpAddress hop = reason == DropReason::ttl_expired ? context.router.hop_address(key.is_v4()) : IpAddress();
  return hop.is_unspecified() ? key.outside.address : hop;
}

// An admitted flow, closed when its holder goes.
class FlowHandle {
 public:
  FlowHandle() = default;
  FlowHandle(FlowTable &table, Flow &flow) : table_(&table), flow_(&flow) {}
  FlowHandle(FlowHandle &&other) noexcept : table_(other.table_), flow_(std::exchange(other.flow_, nullptr)) {}
  FlowHandle &operator=(FlowHandle &&other) noexcept {
    if (this != &other) {
      reset();
      table_ = other.table_;
      flow_ = std::exchange(other.flow_, nullptr);
    }
    return *this;
  }
  ~FlowHandle() { reset(); }

  explicit operator bool() const { return flow_ != nullptr; }
  Flow *operator->() const { return flow_; }
  Flow &operator*() const { return *flow_; }
  void reset() {
    if (flow_) table_->close(*std::exchange(flow_, nullptr));
  }

 private:
  FlowTable *table_ = nullptr;
  Flow *flow_ = nullptr;
};

}  // namespace slipgate
