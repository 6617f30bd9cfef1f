#include "flow/flow_table.h"

#include <map>
#include <random>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

namespace {

const uint64_t kSecret[2] = {1, 2};
const Time kStart = Time(seconds(1000));

FlowKey key_of(uint32_t number, Protocol protocol = Protocol::tcp) {
  FlowKey key;
  key.inside = {IpAddress::v4(10, 0, static_cast<uint8_t>(number >> 24), static_cast<uint8_t>(number >> 16)),
                static_cast<uint16_t>(number)};
  key.outside = {IpAddress::v4(192, 0, 2, 1), 80};
  key.protocol = protocol;
  return key;
}

struct Owner final : FlowOwner {
  void on_idle(Flow &flow) override {
    idle.push_back(flow.key);
    if (closes) table->close(flow);
  }
  FlowTable *table = nullptr;
  bool closes = true;
  std::vector<FlowKey> idle;
};

struct Fixture {
  explicit Fixture(FlowLimits limits = {}) : timers(kStart), table(limits, timers, kSecret) { owner.table = &table; }

  Flow *open(const FlowKey &key, uint32_t client = 1, FlowState state = FlowState::established) {
    auto result = table.open(key, client, state, owner);
    Flow **flow = std::get_if<Flow *>(&result);
    return flow ? *flow : nullptr;
  }
  std::string refused(const FlowKey &key, uint32_t client = 1, FlowState state = FlowState::established) {
    auto result = table.open(key, client, state, owner);
    DropReason *reason = std::get_if<DropReason>(&result);
    return reason ? std::string(name_of(*reason)) : "admitted";
  }

  TimerWheel timers;
  Owner owner;
  FlowTable table;
};

}  // namespace

TEST_CASE("a flow is opened, found and closed") {
  Fixture f;
  Flow *flow = f.open(key_of(1), 7);
  REQUIRE(flow);
  CHECK(flow->key == key_of(1));
  CHECK(flow->client == 7);
  CHECK(flow->opened == kStart);
  CHECK(f.table.find(key_of(1)) == flow);
  CHECK_FALSE(f.table.find(key_of(2)));
  CHECK_FALSE(f.table.find(key_of(1, Protocol::udp)));
  CHECK(f.table.size() == 1);
  CHECK(f.table.flows_of(7) == 1);
  f.table.close(*flow);
  CHECK_FALSE(f.table.find(key_of(1)));
  CHECK(f.table.size() == 0);
  CHECK(f.table.flows_of(7) == 0);
}

TEST_CASE("flow-table-bounded: no more flows than the limits say") {
  FlowLimits limits;
  limits.max_flows = 10;
  limits.max_flows_per_client = 4;
  Fixture f(limits);
  for (uint32_t i = 0; i < 4; i++) REQUIRE(f.open(key_of(i), 1));
  CHECK(f.refused(key_of(4), 1) == "too_many_flows_of_client");
  for (uint32_t i = 10; i < 16; i++) REQUIRE(f.open(key_of(i), i));
  CHECK(f.refused(key_of(99), 99) == "too_many_flows");
  f.table.close(*f.table.find(key_of(0)));
  CHECK(f.open(key_of(99), 99));
}

TEST_CASE("dials-in-flight-per-client: dials of one client are bounded, others are not held up") {
  FlowLimits limits;
  limits.max_connecting_per_client = 2;
  Fixture f(limits);
  Flow *first = f.open(key_of(1), 1, FlowState::connecting);
  Flow *second = f.open(key_of(2), 1, FlowState::connecting);
  CHECK(f.refused(key_of(3), 1, FlowState::connecting) == "too_many_connecting");
  CHECK(f.open(key_of(4), 2, FlowState::connecting));
  CHECK(f.open(key_of(5, Protocol::udp), 1));
  CHECK(f.table.connecting_of(1) == 2);
  f.table.set_state(*first, FlowState::established);
  f.table.set_state(*first, FlowState::closing);
  CHECK(f.table.connecting_of(1) == 1);
  CHECK(f.open(key_of(3), 1, FlowState::connecting));
  f.table.close(*second);
  CHECK(f.table.connecting_of(1) == 1);
}

TEST_CASE("source-port-reuse: a key may be opened again while its old flow still closes") {
  Fixture f;
  Flow *old = f.open(key_of(1));
  f.table.set_state(*old, FlowState::closing);
  Flow *again = f.open(key_of(1), 1, FlowState::connecting);
  REQUIRE(again);
  CHECK(f.table.find(key_of(1)) == again);
  SECTION("the old one goes first") {
    f.table.close(*old);
    CHECK(f.table.find(key_of(1)) == again);
  }
  SECTION("the new one goes first") {
    f.table.close(*again);
    CHECK(f.table.find(key_of(1)) == old);
  }
  SECTION("the table grows in between") {
    for (uint32_t i = 100; i < 2000; i++) f.open(key_of(i));
    CHECK(f.table.find(key_of(1)) == again);
  }
}

TEST_CASE("flow-idle-lazy: a flow that is used does not time out") {
  FlowLimits limits;
  limits.udp_idle_timeout = seconds(300);
  Fixture f(limits);
  Flow *used = f.open(key_of(1, Protocol::udp));
  f.open(key_of(2, Protocol::udp));
  f.timers.advance(kStart + seconds(200));
  used->touch(f.timers.now());
  f.timers.advance(kStart + seconds(299));
  CHECK(f.owner.idle.empty());
  f.timers.advance(kStart + seconds(301));
  REQUIRE(f.owner.idle.size() == 1);
  CHECK(f.owner.idle[0] == key_of(2, Protocol::udp));
  f.timers.advance(kStart + seconds(499));
  CHECK(f.owner.idle.size() == 1);
  f.timers.advance(kStart + seconds(501));
  CHECK(f.owner.idle.size() == 2);
  CHECK(f.table.size() == 0);
}

TEST_CASE("idle timeouts are the protocol's or as set, and an owner that keeps its flow is asked again") {
  Fixture f;
  CHECK(f.open(key_of(1))->idle_timeout() == seconds(7440));
  CHECK(f.open(key_of(2, Protocol::udp))->idle_timeout() == seconds(300));
  CHECK(f.open(key_of(3, Protocol::icmp))->idle_timeout() == seconds(60));
  Flow *flow = f.table.find(key_of(1));
  f.owner.closes = false;
  f.table.set_idle_timeout(*flow, seconds(10));
  f.timers.advance(kStart + seconds(25));
  f.timers.advance(kStart + seconds(30));
  CHECK(f.owner.idle.size() == 1);
  f.timers.advance(kStart + seconds(36));
  CHECK(f.owner.idle.size() == 2);
}

TEST_CASE("datagrams of one client endpoint share one mapping") {
  FlowKey a{{IpAddress::v4(10, 0, 0, 2), 5000}, {IpAddress::v4(192, 0, 2, 1), 53}, Protocol::udp, 1};
  FlowKey b = a;
  b.outside = {IpAddress::v4(198, 51, 100, 1), 123};
  CHECK(mapping_key(a) == mapping_key(b));
  CHECK(mapping_key(a).inside == a.inside);
  FlowKey c = a;
  c.inside.port = 5001;
  CHECK_FALSE(mapping_key(a) == mapping_key(c));
  c = a;
  c.link = 2;
  CHECK_FALSE(mapping_key(a) == mapping_key(c));
}

TEST_CASE("the table agrees with a map under random use") {
  FlowLimits limits;
  limits.max_flows = 3000;
  limits.max_flows_per_client = 500;
  limits.max_connecting_per_client = 50;
  Fixture f(limits);
  std::mt19937_64 random(17);
  std::map<FlowKey, Flow *> twin;
  std::map<uint32_t, size_t> of_client, connecting;
  for (int step = 0; step < 60000; step++) {
    FlowKey key = key_of(static_cast<uint32_t>(random() % 6000));
    uint32_t client = key.inside.port % 9;
    auto known = twin.find(key);
    REQUIRE(f.table.find(key) == (known == twin.end() ? nullptr : known->second));
    if (known == twin.end()) {
      FlowState state = random() % 3 ? FlowState::established : FlowState::connecting;
      Flow *flow = f.open(key, client, state);
      bool expected =
          twin.size() < 3000 && of_client[client] < 500 && (state == FlowState::established || connecting[client] < 50);
      REQUIRE((flow != nullptr) == expected);
      if (!flow) continue;
      twin[key] = flow;
      of_client[client]++;
      connecting[client] += state == FlowState::connecting;
    } else {
      Flow *flow = known->second;
      if (flow->state() == FlowState::connecting) connecting[client]--;
      if (random() % 2) {
        f.table.set_state(*flow, FlowState::established);
      } else {
        f.table.close(*flow);
        of_client[client]--;
        twin.erase(known);
      }
    }
    REQUIRE(f.table.size() == twin.size());
    REQUIRE(f.table.flows_of(client) == of_client[client]);
    REQUIRE(f.table.connecting_of(client) == connecting[client]);
  }
  size_t seen = 0;
  f.table.for_each([&](Flow &flow) {
    seen++;
    if (seen % 2) f.table.close(flow);
  });
  CHECK(seen == twin.size());
  CHECK(f.table.size() == twin.size() / 2);
}
