// Flows opened, used and closed in any order: the table keeps its counts and forgets nothing.
#include "flow/flow_table.h"

#include <map>

using namespace slipgate;

namespace {

struct Owner final : FlowOwner {
  void on_idle(Flow &flow) override {
    twin.erase(flow.key);
    table->close(flow);
  }
  FlowTable *table = nullptr;
  std::map<FlowKey, Flow *> twin;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint64_t secret[2] = {3, 4};
  FlowLimits limits;
  limits.max_flows = 40;
  limits.max_flows_per_client = 16;
  limits.max_connecting_per_client = 4;
  Time now{seconds(1)};
  TimerWheel timers(now);
  FlowTable table(limits, timers, secret);
  Owner owner;
  owner.table = &table;
  ByteReader reader(Bytes(data, size));
  while (reader.remaining() >= 3) {
    uint8_t action = reader.u8(), which = reader.u8(), client = reader.u8() % 4;
    FlowKey key;
    key.inside = {IpAddress::v4(10, 0, 0, client), which};
    key.outside = {IpAddress::v4(192, 0, 2, 1), 53};
    key.protocol = action & 0x80 ? Protocol::udp : Protocol::tcp;
    auto known = owner.twin.find(key);
    if (table.find(key) != (known == owner.twin.end() ? nullptr : known->second)) __builtin_trap();
    if (known == owner.twin.end()) {
      auto opened = table.open(key, client, action & 1 ? FlowState::connecting : FlowState::established, owner);
      if (Flow **flow = std::get_if<Flow *>(&opened)) owner.twin[key] = *flow;
    } else if (action % 4 == 0) {
      table.close(*known->second);
      owner.twin.erase(known);
    } else if (action % 4 == 1) {
      table.set_state(*known->second, FlowState::closing);
    } else {
      known->second->touch(timers.now());
    }
    if (action % 8 == 7) timers.advance(now += seconds(which * 10));
    if (table.size() != owner.twin.size() || table.size() > limits.max_flows) __builtin_trap();
    if (table.flows_of(client) > limits.max_flows_per_client) __builtin_trap();
    if (table.connecting_of(client) > limits.max_connecting_per_client) __builtin_trap();
  }
  return 0;
}
