// How connections begin: the held SYN and its answers.
#include <cerrno>

#include "unit/stack/harness.h"

using namespace slipgate;
using namespace slipgate::stack_test;

TEST_CASE("a SYN is held until it is accepted [tcp-syn-held]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.send({.flags = SYN, .sequence = 1000, .options = Harness::usual_options()});
    REQUIRE(h.request);
    CHECK(h.request->key() == h.key);
    CHECK(h.request->client() == 1);
    h.pass(seconds(3));
    CHECK(h.quiet());
    h.stream = h.request->accept();
    REQUIRE(h.stream);
    Sent answer = h.next();
    CHECK(answer.tcp().flags == (SYN | ACK));
    CHECK(answer.tcp().acknowledgment.value() == 1001);
    CHECK(answer.parsed.key.inside == h.key.outside);
    CHECK(answer.parsed.key.outside == h.key.inside);
    CHECK(answer.options().mss == (v4 ? 1380 : 1360));
    CHECK(answer.options().sack_permitted);
    CHECK(answer.options().window_scale == 7);
    CHECK(h.quiet());
  }
}

TEST_CASE("options are offered only to who offered them") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  h.stream = h.request->accept();
  TcpOptions options = h.next().options();
  CHECK_FALSE(options.sack_permitted);
  CHECK_FALSE(options.window_scale);
}

TEST_CASE("a repeated SYN is not a second request [tcp-duplicate-syn-one-request]") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  h.send({.flags = SYN, .sequence = 1000});
  h.pass(seconds(1));
  h.send({.flags = SYN, .sequence = 1000});
  CHECK(h.requests == 1);
  CHECK(h.counters.dropped(DropReason::duplicate_syn) == 2);
  CHECK(h.quiet());
}

TEST_CASE("a new attempt from the same port is what gets the answer") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  h.send({.flags = SYN, .sequence = 5000});
  CHECK(h.requests == 1);
  h.stream = h.request->accept();
  CHECK(h.next().tcp().acknowledgment.value() == 5001);
}

TEST_CASE("a repeated SYN after the answer gets the answer again") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  h.stream = h.request->accept();
  uint32_t first = h.next().tcp().sequence;
  h.send({.flags = SYN, .sequence = 1000});
  Sent again = h.next();
  CHECK(again.tcp().flags == (SYN | ACK));
  CHECK(again.tcp().sequence.value() == first);
  CHECK(h.requests == 1);
}

TEST_CASE("a refused SYN gets RST") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.send({.flags = SYN, .sequence = 1000});
    h.request->refuse(Refusal::reset());
    Sent answer = h.next();
    CHECK(answer.tcp().flags == (RST | ACK));
    CHECK(answer.tcp().acknowledgment.value() == 1001);
    CHECK(h.stack.connections() == 0);
    // The next attempt is a new request.
    h.send({.flags = SYN, .sequence = 2000});
    CHECK(h.requests == 2);
  }
}

TEST_CASE("an unreachable destination is an ICMP error from that destination") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.send({.flags = SYN, .sequence = 1000});
    h.request->refuse(v4 ? Refusal::unreachable(3, 1) : Refusal::unreachable(1, 3));
    Sent answer = h.next();
    CHECK(answer.parsed.key.protocol == (v4 ? Protocol::icmp : Protocol::icmpv6));
    CHECK(answer.parsed.key.inside.address == h.key.outside.address);
    CHECK(answer.packet[answer.parsed.transport_offset] == (v4 ? 3 : 1));
    CHECK(answer.packet[answer.parsed.transport_offset + 1] == (v4 ? 1 : 3));
  }
}

TEST_CASE("an error of a hop comes from that hop, and the request knows how many it may pass") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000, .ttl = 2});
  CHECK(h.request->hops() == 2);
  h.request->refuse(Refusal::unreachable(11, 0, IpAddress::v4(198, 51, 100, 1)));
  Sent answer = h.next();
  CHECK(answer.parsed.key.inside.address == IpAddress::v4(198, 51, 100, 1));
  CHECK(answer.packet[answer.parsed.transport_offset] == 11);
}

TEST_CASE("what a connection sends has the SYN's DSCP, but not its ECN bits") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.send({.flags = SYN, .sequence = 1000, .options = Harness::usual_options(), .traffic_class = 0xb9});
    CHECK(h.request->service_class() == 0xb8);
    h.stream = h.request->accept();
    Sent answer = h.next();
    h.send({.sequence = 1001, .acknowledgment = answer.tcp().sequence + 1});
    REQUIRE(h.write("hello") == 5);
    CHECK(h.next().parsed.traffic_class == 0xb8);
  }
}

TEST_CASE("silence, and a request that is dropped") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  h.request->refuse(Refusal::silence());
  h.send({.flags = SYN, .sequence = 1000});
  CHECK(h.requests == 2);
  h.request.reset();
  h.send({.flags = SYN, .sequence = 1000});
  CHECK(h.requests == 3);
  CHECK(h.quiet());
}

TEST_CASE("the client's RST cancels the request [tcp-reset-cancels-request]") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  int cancelled = 0;
  h.request->on_cancel([&] { cancelled++; });
  h.send({.flags = RST, .sequence = 7});  // somebody else's
  CHECK(cancelled == 0);
  h.send({.flags = RST, .sequence = 1001});
  CHECK(cancelled == 1);
  CHECK(h.counters.dropped(DropReason::request_cancelled) == 1);
  CHECK_FALSE(h.request->accept());
  h.request->refuse(Refusal::reset());
  CHECK(h.quiet());
}

TEST_CASE("a client that stops repeating its SYN has given up [tcp-silent-client-cancels-request]") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  int cancelled = 0;
  h.request->on_cancel([&] {
    cancelled++;
    h.request.reset();  // as its owner may
  });
  for (Duration pause : {seconds(1), seconds(2), seconds(4), seconds(8), seconds(16), seconds(32), seconds(64)}) {
    h.pass(pause);
    CHECK(cancelled == 0);
    h.send({.flags = SYN, .sequence = 1000});
  }
  h.pass(seconds(80));
  CHECK(cancelled == 1);
}

TEST_CASE("a SYN that is never repeated does not wait for long") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  int cancelled = 0;
  h.request->on_cancel([&] { cancelled++; });
  h.pass(seconds(3));  // what old kernels wait
  CHECK(cancelled == 0);
  h.pass(seconds(2));
  CHECK(cancelled == 1);
}

TEST_CASE("one client's held SYNs are bounded, others are served [tcp-held-syns-bounded]") {
  StackConfig config;
  config.max_requests_per_client = 3;
  Harness h(true, config);
  std::vector<StreamRequestPtr> held;
  for (uint16_t i = 0; i < 10; i++) {
    h.key.inside.port = static_cast<uint16_t>(1000 + i);
    h.send({.flags = SYN, .sequence = 1000});
    if (h.request) held.push_back(std::move(h.request));
  }
  CHECK(held.size() == 3);
  CHECK(h.counters.dropped(DropReason::too_many_connecting) == 7);
  h.client = 2;
  h.send({.flags = SYN, .sequence = 1000});
  CHECK(h.request);
  held.pop_back();
  h.client = 1;
  h.key.inside.port = 2000;
  h.send({.flags = SYN, .sequence = 1000});
  CHECK(h.requests == 5);
}

TEST_CASE("no peer makes segments small [tcp-least-mss]") {
  Harness h;
  h.open({2, 4, 0, 1});
  h.write(std::string(4800, 'x'));
  const std::vector<Sent> sent = h.all();
  REQUIRE_FALSE(sent.empty());
  for (const Sent &each : sent) CHECK(each.payload().size() >= 48);
}

TEST_CASE("what only waits makes room for a new connection [tcp-time-wait-makes-room]") {
  StackConfig config;
  config.max_connections = 1;
  Harness h(true, config);
  h.open();
  h.stream->shutdown_write();
  h.all();
  h.theirs++;
  h.send({.flags = FIN | ACK, .sequence = h.ours, .acknowledgment = h.theirs});
  h.all();
  h.stream.reset();
  CHECK(h.stack.connections() == 1);  // in TIME_WAIT
  h.key.inside.port = 41000;
  h.open();
  CHECK(h.counters.dropped(DropReason::too_many_flows) == 0);
}

TEST_CASE("connections are bounded, and those that stand stay [tcp-connections-bounded]") {
  StackConfig config;
  config.max_connections = 1;
  Harness h(true, config);
  h.open();
  FlowKey first = h.key;
  h.key.inside.port = 41000;
  h.send({.flags = SYN, .sequence = 1000});
  CHECK_FALSE(h.request);
  CHECK(h.counters.dropped(DropReason::too_many_flows) == 1);
  CHECK(h.next().tcp().flags == (RST | ACK));  // refused, not ignored
  h.key = first;
  h.send(h.data("still here"));
  CHECK(h.read() == "still here");
}

TEST_CASE("RFC 3168 section 6.1.1: a SYN with ECN bits is a SYN, and ECN is agreed on with both [tcp-syn-with-ecn]") {
  for (uint8_t bits : {uint8_t{0}, ECE, CWR, static_cast<uint8_t>(ECE | CWR)}) {
    Harness h;
    h.send({.flags = static_cast<uint8_t>(SYN | bits), .sequence = 1000});
    REQUIRE(h.request);
    h.stream = h.request->accept();
    CHECK(h.next().tcp().flags == (bits == (ECE | CWR) ? SYN | ACK | ECE : SYN | ACK));
    // Not with one that gave it up: its answer was lost on the way.
    h.send({.flags = SYN, .sequence = 1000});
    for (const Sent &one : h.all()) CHECK_FALSE(one.tcp().flags & ECE);
  }
}

TEST_CASE("data that comes with a SYN is not lost [tcp-syn-with-data]") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000, .payload = "early"});
  h.stream = h.request->accept();
  Sent answer = h.next();
  CHECK(answer.tcp().acknowledgment.value() == 1001);
  h.theirs = answer.tcp().sequence + 1;
  h.ours = 1001;
  h.send(h.data("early"));
  CHECK(h.read() == "early");
}

TEST_CASE("SYNs to port 0 and from nobody are dropped [tcp-syn-to-port-zero] [tcp-syn-from-broadcast]") {
  Harness h;
  FlowKey to_zero = h.key, from_zero = h.key;
  to_zero.outside.port = 0;
  from_zero.inside.port = 0;
  for (const FlowKey &key : {to_zero, from_zero}) {
    // Straight in: what looks at packets before the stack may refuse it already.
    std::vector<LinkPacket> batch(1);
    batch[0].packet = h.make(key, {.flags = SYN, .sequence = 1000});
    batch[0].parsed = {.key = key, .transport_offset = 20, .length = 40, .ttl = 64, .tcp_flags = SYN};
    h.stack.input(batch);
  }
  CHECK(h.counters.dropped(DropReason::bad_destination) == 1);
  CHECK(h.counters.dropped(DropReason::bad_source) == 1);
  for (IpAddress address :
       {IpAddress::v4(255, 255, 255, 255), IpAddress::v4(0, 0, 0, 0), IpAddress::v4(224, 0, 0, 1)}) {
    FlowKey from = h.key, to = h.key;
    from.inside.address = to.outside.address = address;
    for (const FlowKey &key : {from, to}) {
      std::vector<LinkPacket> batch(1);
      batch[0].packet = h.make(key, {.flags = SYN, .sequence = 1000});
      batch[0].parsed = {.key = key, .transport_offset = 20, .length = 40, .ttl = 64, .tcp_flags = SYN};
      h.stack.input(batch);
    }
  }
  CHECK(h.counters.dropped(DropReason::bad_destination) == 4);
  CHECK(h.counters.dropped(DropReason::bad_source) == 4);
  CHECK(h.requests == 0);
  CHECK(h.quiet());
}

TEST_CASE("SYN with FIN is nothing") {
  Harness h;
  h.send({.flags = SYN | FIN, .sequence = 1000});
  CHECK(h.requests == 0);
  CHECK(h.quiet());
}

TEST_CASE("options of length 0 or past the header [tcp-option-lengths]") {
  for (std::vector<uint8_t> options : std::vector<std::vector<uint8_t>>{{2, 0, 0, 0},
                                                                        {2, 4, 5, 100, 9, 0, 1, 1},
                                                                        {1, 1, 1, 2},
                                                                        {3, 3, 7, 254},
                                                                        {1, 1, 1, 99},
                                                                        {2, 60, 1, 1},
                                                                        {5, 255, 0, 0}}) {
    Harness h;
    h.send({.flags = SYN, .sequence = 1000, .options = options});
    REQUIRE(h.request);
    h.stream = h.request->accept();
    Sent answer = h.next();
    CHECK(answer.tcp().flags == (SYN | ACK));
    h.theirs = answer.tcp().sequence + 1;
    h.ours = 1001;
    Segment data = h.data("x");
    data.options = options;
    h.send(data);
    CHECK(h.read() == "x");
  }
}

TEST_CASE("segments of no connection get RST, RSTs get nothing") {
  Harness h;
  h.send({.flags = ACK, .sequence = 1000, .acknowledgment = 2000, .payload = "hello"});
  Sent answer = h.next();
  CHECK((answer.tcp().flags & RST));
  CHECK(answer.tcp().sequence.value() == 2000);
  h.send({.flags = RST | ACK, .sequence = 1000, .acknowledgment = 2000});
  CHECK(h.quiet());
  h.send({.flags = SYN | ACK, .sequence = 1000, .acknowledgment = 2000});
  CHECK((h.next().tcp().flags & RST));
  CHECK(h.counters.dropped(DropReason::no_connection) == 3);
}

TEST_CASE("initial sequence numbers differ by connection and move with time [tcp-isn-rfc6528]") {
  Harness h;
  auto isn_of = [&](uint16_t port) {
    h.key.inside.port = port;
    h.send({.flags = SYN, .sequence = 1000});
    StreamPtr stream = h.request->accept();
    uint32_t isn = h.next().tcp().sequence;
    stream->abort();
    stream.reset();
    h.all();
    return isn;
  };
  uint32_t first = isn_of(1000), other = isn_of(1001);
  CHECK(first != other);
  CHECK(static_cast<uint32_t>(other - first) > 1000);
  h.pass(seconds(4));
  uint32_t later = isn_of(1000);
  CHECK(later - first == 1'000'000);  // RFC 6528: one every 4 microseconds
}

TEST_CASE("an opening towards the client, from any address") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    int error = -1;
    auto connecting = h.stack.connect(h.key, 1, [&](StreamPtr stream, int code) {
      h.stream = std::move(stream);
      error = code;
    });
    Sent syn = h.next();
    CHECK(syn.tcp().flags == SYN);
    CHECK(syn.parsed.key.inside == h.key.outside);
    CHECK(syn.options().mss == (v4 ? 1380 : 1360));
    CHECK(error == -1);
    h.send({.flags = SYN | ACK,
            .sequence = 500,
            .acknowledgment = syn.tcp().sequence + 1,
            .options = Harness::usual_options()});
    CHECK(error == 0);
    REQUIRE(h.stream);
    CHECK(h.next().tcp().acknowledgment.value() == 501);
    h.ours = 501;
    h.theirs = syn.tcp().sequence + 1;
    h.send(h.data("from inside"));
    CHECK(h.read() == "from inside");
    h.all();
    CHECK(h.write("from outside") == 12);
    CHECK(h.next().payload() == "from outside");
  }
}

TEST_CASE("openings that fail") {
  Harness h;
  int error = 0;
  auto open = [&] {
    error = 0;
    return h.stack.connect(h.key, 1, [&](StreamPtr, int code) { error = code; });
  };
  auto connecting = open();
  Sent syn = h.next();
  h.send({.flags = RST | ACK, .sequence = 0, .acknowledgment = syn.tcp().sequence + 1});
  CHECK(error == ECONNREFUSED);

  connecting = open();
  h.pass(seconds(30));
  CHECK(error == ETIMEDOUT);
  h.all();

  connecting = open();
  h.next();
  connecting.reset();  // given up
  h.pass(seconds(30));
  CHECK(error == 0);
  CHECK(h.stack.connections() == 0);

  h.all();
  h.open();
  connecting = open();  // the same flow again
  CHECK(error == 0);    // never from within connect()
  h.stack.flush();
  CHECK(error == EADDRINUSE);
}

TEST_CASE("simultaneous open [tcp-simultaneous-open]") {
  Harness h;
  int error = -1;
  auto connecting = h.stack.connect(h.key, 1, [&](StreamPtr stream, int code) {
    h.stream = std::move(stream);
    error = code;
  });
  Sent syn = h.next();
  // The client's own SYN crosses ours. lwIP knows no SYN_SENT to SYN_RECEIVED: it must not break, and an answer still
  // opens.
  h.send({.flags = SYN, .sequence = 500});
  h.all();
  h.send({.flags = SYN | ACK, .sequence = 500, .acknowledgment = syn.tcp().sequence + 1});
  CHECK(error == 0);
  CHECK(h.stream);
}

TEST_CASE("the stack may go before its streams, requests and openings") {
  auto h = std::make_unique<Harness>();
  h->open();
  StreamPtr stream = std::move(h->stream);
  h->key.inside.port = 1;
  h->send({.flags = SYN, .sequence = 1});
  StreamRequestPtr request = std::move(h->request);
  h->key.inside.port = 2;
  auto connecting = h->stack.connect(h->key, 1, [](StreamPtr, int) {});
  h.reset();
  CHECK(stream->peek(1).error == ECONNABORTED);
  CHECK(stream->writable() == 0);
  CHECK_FALSE(request->accept());
}
