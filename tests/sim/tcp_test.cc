// TCP between two stacks over a simulated wire.
#include <algorithm>
#include <cerrno>

#include "sim/network.h"
#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::sim;

namespace {

void check_transfer(const WireOptions &up, const WireOptions &down, uint64_t bytes, Duration limit, bool v4 = true,
                    uint32_t seed = 1) {
  Network network(up, down, seed);
  auto session = open_session(network, 40000, bytes, bytes, v4);
  bool done = network.run_until([&] { return session->done(); }, limit);
  REQUIRE(session->client);
  REQUIRE(session->gateway);
  CHECK(session->client->received == bytes);
  CHECK(session->gateway->received == bytes);
  CHECK(session->client->corrupt == 0);
  CHECK(session->gateway->corrupt == 0);
  CHECK(done);
}

}  // namespace

TEST_CASE("bulk both ways over a clean wire") {
  for (bool v4 : {true, false}) check_transfer({}, {}, 20'000'000, seconds(20), v4);
}

TEST_CASE("bulk over loss, delay and reordering [sack-recovery]") {
  struct Row {
    double loss;
    Duration delay;
    Duration jitter;
    uint64_t bytes;
    Duration limit;
  };
  // Virtual time that each may take, each way: what the sender's recovery reaches today, with some room.
  const Row rows[] = {
      {0, milliseconds(50), Duration{}, 5'000'000, seconds(10)},
      {0, milliseconds(5), milliseconds(2), 2'000'000, seconds(2)},
      {0.001, milliseconds(5), Duration{}, 5'000'000, seconds(5)},
      {0.01, milliseconds(5), Duration{}, 1'000'000, seconds(5)},
      {0.01, milliseconds(50), milliseconds(5), 500'000, seconds(15)},
      {0.05, milliseconds(20), Duration{}, 200'000, seconds(15)},
      // lwIP alone, with its timer as the only recovery, needs 10 s and more.
      {0.02, milliseconds(20), Duration{}, 1'000'000, seconds(7)},
  };
  for (const Row &row : rows) {
    WireOptions wire{.delay = row.delay, .loss = row.loss, .jitter = row.jitter, .bits_per_second = 100e6};
    INFO("loss " << row.loss << " delay " << row.delay.count() << " jitter " << row.jitter.count());
    for (uint32_t seed = 1; seed <= 3; seed++) check_transfer(wire, wire, row.bytes, row.limit, seed % 2, seed);
  }
}

TEST_CASE("duplicated packets") {
  WireOptions wire{.duplication = 0.3, .jitter = milliseconds(1)};
  check_transfer(wire, wire, 2'000'000, seconds(60));
}

TEST_CASE("the gateway half-closes first and the client then uploads") {
  Network network({}, {}, 1);
  auto session = open_session(network, 40000, 1'000'000, 100, true, true);
  REQUIRE(network.run_until([&] { return session->client && session->gateway && session->client->received == 100; },
                            seconds(5)));
  session->gateway->finish();
  REQUIRE(network.run_until([&] { return session->client->end; }, seconds(5)));
  network.run_for(seconds(600));  // half-closed for as long as it takes
  auto peer = std::move(session->client);
  CHECK(peer->error == 0);
  // The upload begins only now.
  auto late = std::make_unique<Peer>(std::move(peer->stream), 1'000'000);
  late->received = 100;
  peer.reset();
  REQUIRE(network.run_until([&] { return session->gateway->end; }, seconds(20)));
  CHECK(session->gateway->received == 2'000'000);
  late.reset();
  session->gateway.reset();
  CHECK(network.run_until([&] { return network.gateway.stack.connections() + network.client.stack.connections() == 0; },
                          seconds(10)));
}

TEST_CASE("a reader that stops stops the writer, and nothing is lost") {
  WireOptions wire{.delay = milliseconds(1)};
  Network network(wire, wire, 1);
  network.gateway.on_request = [](StreamRequestPtr) {};
  auto session = open_session(network, 40000, 10'000'000, 0);
  REQUIRE(network.run_until([&] { return session->gateway != nullptr; }, seconds(5)));
  session->gateway->pause_reading();
  network.run_for(seconds(300));
  uint64_t before = session->client->sent;
  CHECK(before < 9'000'000);  // two buffers of 4 MiB at most
  network.run_for(seconds(300));
  CHECK(session->client->sent == before);
  CHECK(session->client->error == 0);
  session->gateway->resume_reading();
  REQUIRE(network.run_until([&] { return session->done(); }, seconds(60)));
  CHECK(session->gateway->received == 10'000'000);
  CHECK(session->gateway->corrupt == 0);
}

TEST_CASE("destroying a stream before its end resets the other side") {
  Network network({}, {}, 1);
  auto session = open_session(network, 40000, 100'000'000, 0);
  REQUIRE(network.run_until([&] { return session->gateway && session->gateway->received > 1'000'000; }, seconds(5)));
  session->gateway.reset();
  REQUIRE(network.run_until([&] { return session->client->error != 0; }, seconds(5)));
  CHECK(session->client->error == ECONNRESET);
  session->client.reset();
  network.run_for(seconds(1));
  CHECK(network.gateway.stack.connections() == 0);
  CHECK(network.client.stack.connections() == 0);
}

TEST_CASE("data and FIN arrive though both owners are gone") {
  WireOptions lossy{.delay = milliseconds(30), .loss = 0.2};
  for (uint32_t seed = 1; seed <= 10; seed++) {
    Network network(lossy, lossy, seed);
    auto session = open_session(network, 40000, 0, 50'000);
    REQUIRE(network.run_until([&] { return session->gateway && session->gateway->end; }, seconds(60)));
    REQUIRE(session->gateway->sent == 50'000);
    session->gateway.reset();  // finished both ways: bytes may still be under way
    REQUIRE(network.run_until([&] { return session->client->end; }, seconds(120)));
    CHECK(session->client->received == 50'000);
    session->client.reset();
    CHECK(network.run_until(
        [&] { return network.gateway.stack.connections() + network.client.stack.connections() == 0; }, seconds(60)));
  }
}

TEST_CASE("refused, and reached by nobody") {
  Network network({}, {}, 1);
  int error = 0;
  network.gateway.on_request = [](StreamRequestPtr request) { request->refuse(Refusal::reset()); };
  auto connecting = network.client.stack.connect(session_key(40000, true), 1, [&](StreamPtr, int e) { error = e; });
  REQUIRE(network.run_until([&] { return error != 0; }, seconds(5)));
  CHECK(error == ECONNREFUSED);
  CHECK(network.gateway.counters.dropped(DropReason::no_connection) == 0);

  error = 0;
  network.gateway.on_request = [](StreamRequestPtr request) { request->refuse(Refusal::unreachable(3, 1)); };
  connecting = network.client.stack.connect(session_key(40001, true), 1, [&](StreamPtr, int e) { error = e; });
  REQUIRE(network.run_until([&] { return error != 0; }, seconds(5)));
  CHECK(error == EHOSTUNREACH);

  error = 0;
  network.gateway.on_request = [](StreamRequestPtr request) { request->refuse(Refusal::unreachable(1, 3)); };
  connecting = network.client.stack.connect(session_key(40001, false), 1, [&](StreamPtr, int e) { error = e; });
  REQUIRE(network.run_until([&] { return error != 0; }, seconds(5)));
  CHECK(error == EHOSTUNREACH);

  error = 0;
  network.gateway.on_request = [](StreamRequestPtr request) { request->refuse(Refusal::silence()); };
  connecting = network.client.stack.connect(session_key(40002, true), 1, [&](StreamPtr, int e) { error = e; });
  network.run_for(seconds(5));
  CHECK(error == 0);
  REQUIRE(network.run_until([&] { return error != 0; }, seconds(30)));
  CHECK(error == ETIMEDOUT);
}

TEST_CASE("ten thousand connections cost each what one costs") {
  Network network({.bits_per_second = 100e9, .queue_bytes = 64 << 20},
                  {.bits_per_second = 100e9, .queue_bytes = 64 << 20}, 1);
  constexpr int kConnections = 10'000;
  std::vector<std::unique_ptr<Peer>> clients, gateways;
  std::vector<std::unique_ptr<Stack::Connecting>> openings;
  network.gateway.on_request = [&](StreamRequestPtr request) {
    gateways.push_back(std::make_unique<Peer>(request->accept(), 100, true));
  };
  for (int i = 0; i < kConnections; i++) {
    openings.push_back(network.client.stack.connect(
        session_key(static_cast<uint16_t>(20'000 + i), i % 2), 1,
        [&](StreamPtr stream, int) { clients.push_back(std::make_unique<Peer>(std::move(stream), 100, true)); }));
    if (i % 100 == 99) network.run_for(milliseconds(20));
  }
  auto all = [&](auto holds) {
    return clients.size() == kConnections && gateways.size() == kConnections &&
           std::all_of(clients.begin(), clients.end(), holds) && std::all_of(gateways.begin(), gateways.end(), holds);
  };
  REQUIRE(network.run_until([&] { return all([](auto &peer) { return peer->received == 100; }); }, seconds(10)));
  network.run_for(seconds(1));
  CHECK(network.timers.armed() == 0);  // idle connections have no timer
  CHECK(network.gateway.stack.connections() == kConnections);
  network.run_for(hours(1));
  CHECK(all([](auto &peer) { return peer->error == 0; }));
  for (auto &peer : clients) peer->finish();
  for (auto &peer : gateways) peer->finish();
  REQUIRE(network.run_until([&] { return all([](auto &peer) { return peer->end; }); }, seconds(10)));
  clients.clear();
  gateways.clear();
  network.run_for(seconds(10));
  CHECK(network.gateway.stack.connections() == 0);
  CHECK(network.client.stack.connections() == 0);
}

TEST_CASE("datagrams of all sizes come whole, both families") {
  Network network({}, {}, 1);
  std::vector<uint8_t> got;
  network.gateway.on_udp = [&](const FlowKey &key, Bytes payload, const DatagramInfo &info) {
    got.assign(payload.begin(), payload.end());
    // As an echo server: back to where it came from.
    network.gateway.stack.send_datagram(key, payload, info);
  };
  std::vector<uint8_t> back;
  network.client.on_udp = [&](const FlowKey &, Bytes payload, const DatagramInfo &) {
    back.assign(payload.begin(), payload.end());
  };
  for (bool v4 : {true, false}) {
    for (size_t size : {0, 1, 1000, 1392, 1473, 4000, 9000, 60'000, 65'000}) {
      INFO("size " << size << (v4 ? " v4" : " v6"));
      std::vector<uint8_t> sent(size);
      for (size_t i = 0; i < size; i++) sent[i] = pattern(i + size);
      FlowKey key = session_key(5000, v4);
      key.protocol = Protocol::udp;
      got.assign(1, 77);
      back.assign(1, 77);
      REQUIRE(network.client.stack.send_datagram(key, sent, {}));
      network.run_until([&] { return back == sent; }, seconds(1));
      CHECK(got == sent);
      CHECK(back == sent);
    }
  }
}
