// What in-process measurements share: the client's end of TCP connections made by hand, so that nothing but the
// gateway's side has a stack, and a gateway's side that takes what comes or gives without end.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/packet.h"
#include "base/timer_wheel.h"
#include "stack/stack.h"
#include "wire/ip.h"
#include "wire/tcp.h"

namespace slipgate::bench {

[[noreturn]] inline void fail(const std::string &text) {
  std::fprintf(stderr, "bench: %s\n", text.c_str());
  std::exit(1);
}

inline constexpr size_t kPayload = 1380;  // of a full segment in a packet of 1,420 bytes
inline constexpr size_t kFullPacket = sizeof(Ipv4Header) + sizeof(TcpHeader) + kPayload;

// Segments of many connections to 192.0.2.80:80, in order and without loss. Connection `n` belongs to client
// n % clients.
class TcpClient {
 public:
  explicit TcpClient(size_t connections, size_t clients = 1) : clients_(clients), connections_(connections) {
    payload_sum_ = ones_complement_sum(std::vector<uint8_t>(kPayload, 'x'));
  }

  size_t connections() const { return connections_.size(); }
  size_t client_of(size_t connection) const { return connection % clients_; }
  static IpAddress address_of(size_t client) {
    const auto number = static_cast<uint32_t>(client);
    return IpAddress::v4(10, static_cast<uint8_t>(1 + (number >> 16)), static_cast<uint8_t>(number >> 8),
                         static_cast<uint8_t>(number));
  }

  // Each writes a packet at `at` and gives its size.
  size_t syn(size_t connection, uint8_t *at) {
    // MSS 1380, window scale 10 (RFC 9293 section 3.2, RFC 7323 section 2.2).
    constexpr uint8_t kOptions[] = {2, 4, kPayload >> 8, kPayload & 0xff, 1, 3, 3, 10};
    State &state = connections_[connection];
    state.next = static_cast<uint32_t>(connection) * 7919;
    const size_t size = write(connection, TcpHeader::kSyn, kOptions, 0, at);
    state.next++;
    return size;
  }
  size_t data(size_t connection, uint8_t *at) {
    const size_t size = write(connection, TcpHeader::kAck, {}, kPayload, at);
    connections_[connection].next += kPayload;
    return size;
  }
  size_t acknowledgment(size_t connection, uint8_t *at) { return write(connection, TcpHeader::kAck, {}, 0, at); }
  size_t reset(size_t connection, uint8_t *at) {
    return write(connection, TcpHeader::kRst | TcpHeader::kAck, {}, 0, at);
  }

  // Takes a packet to us, in order; the connection that it is for.
  size_t take(Bytes packet) {
    const auto *ip = view_as<Ipv4Header>(packet);
    const auto *tcp = view_as<TcpHeader>(packet.subspan(sizeof(Ipv4Header)));
    if (tcp->flags & TcpHeader::kRst) fail("a reset from the gateway");
    const uint8_t *to = ip->destination_bytes;
    const size_t client = (to[1] - size_t{1}) << 16 | size_t{to[2]} << 8 | to[3];
    const size_t connection = (tcp->destination_port - size_t{kFirstPort}) * clients_ + client;
    State &state = connections_[connection];
    const size_t payload = ip->total_length - sizeof(Ipv4Header) - tcp->header_length();
    if (!state.open && !(tcp->flags & TcpHeader::kSyn)) return connection;
    state.expected = tcp->sequence + static_cast<uint32_t>(payload) + (state.open ? 0 : 1);
    state.open = true;
    received_ += payload;
    return connection;
  }
  bool is_open(size_t connection) const { return connections_[connection].open; }
  void forget(size_t connection) { connections_[connection].open = false; }
  uint64_t received() const { return received_; }

 private:
  static constexpr uint16_t kFirstPort = 2000;
  struct State {
    uint32_t next = 0;      // sequence number of what we send next
    uint32_t expected = 0;  // what we acknowledge
    bool open = false;
  };

  size_t write(size_t connection, uint8_t flags, Bytes options, size_t payload, uint8_t *at) {
    const State &state = connections_[connection];
    const size_t header = sizeof(TcpHeader) + options.size();
    IpFields fields;
    fields.source = address_of(client_of(connection));
    fields.destination = IpAddress::v4(192, 0, 2, 80);
    fields.protocol = static_cast<uint8_t>(Protocol::tcp);
    write_ip_header(at, fields, header + payload);
    auto *tcp = reinterpret_cast<TcpHeader *>(at + sizeof(Ipv4Header));
    *tcp = {.source_port = static_cast<uint16_t>(kFirstPort + connection / clients_),
            .destination_port = uint16_t{80},
            .sequence = state.next,
            .acknowledgment = state.open ? state.expected : 0,
            .data_offset = static_cast<uint8_t>(header / 4 << 4),
            .flags = flags,
            .window = uint16_t{0xffff},
            .checksum = uint16_t{0},
            .urgent_pointer = uint16_t{0}};
    if (flags & TcpHeader::kSyn) tcp->window = 0xffff;
    uint8_t *end = std::copy(options.begin(), options.end(), at + sizeof(Ipv4Header) + sizeof(TcpHeader));
    std::fill_n(end, payload, 'x');
    uint16_t sum =
        pseudo_header_sum(fields.source, fields.destination, fields.protocol, static_cast<uint32_t>(header + payload));
    sum = add_sums(sum, ones_complement_sum({at + sizeof(Ipv4Header), header}));
    if (payload) sum = add_sums(sum, payload_sum_);
    tcp->checksum = checksum_of(sum);
    return sizeof(Ipv4Header) + header + payload;
  }

  const size_t clients_;
  std::vector<State> connections_;
  uint16_t payload_sum_ = 0;
  uint64_t received_ = 0;
};

// Takes all that a stream brings, or writes to it without end.
class Endless final : public StreamWatcher {
 public:
  Endless(StreamPtr stream, bool writes, uint64_t &bytes) : stream_(std::move(stream)), writes_(writes), bytes_(bytes) {
    stream_->watch(this);
    if (writes_) on_writable();
  }
  void on_readable() override {
    while (true) {
      Peeked peeked = stream_->peek(1 << 20);
      if (peeked.error) ended_ = true;
      if (peeked.size == 0) return;
      bytes_ += peeked.size;
      stream_->consume(peeked.size);
    }
  }
  void on_writable() override {
    static const std::vector<char> kBlock(60 * 1024, 'y');
    while (writes_) {
      iovec piece{const_cast<char *>(kBlock.data()), kBlock.size()};
      Result<size_t> written = stream_->write_some({&piece, 1});
      if (!written) ended_ = true;
      if (!written || *written == 0) return;
    }
  }
  bool ended() const { return ended_; }

 private:
  StreamPtr stream_;
  const bool writes_;
  uint64_t &bytes_;
  bool ended_ = false;
};

// Accepts every connection.
class Services final : public StackEvents {
 public:
  explicit Services(bool writes = false) : writes_(writes) {}

  uint64_t bytes = 0;  // that streams brought
  // What to do with a stream instead of taking its bytes.
  std::function<void(StreamPtr)> on_stream;

  void on_tcp_request(StreamRequestPtr request) override {
    StreamPtr stream = request->accept();
    if (!stream) fail("a connection that could not be accepted");
    if (on_stream) return on_stream(std::move(stream));
    streams_.push_back(std::make_unique<Endless>(std::move(stream), writes_, bytes));
  }
  void on_datagram(const FlowKey &, uint32_t, Bytes, const DatagramInfo &, Bytes) override {}
  void on_echo(const FlowKey &, uint32_t, uint16_t, Bytes, const DatagramInfo &, Bytes) override {}
  void on_icmp_error(const FlowKey &, uint32_t, uint8_t, uint8_t, uint32_t) override {}
  void forget_streams() { streams_.clear(); }

 private:
  const bool writes_;
  std::vector<std::unique_ptr<Endless>> streams_;
};

// A stack alone, in virtual time, with a TcpClient on the other end of a wire without delay.
class StackRig final : public StackOutput {
 public:
  explicit StackRig(size_t connections, bool writes = false)
      : client(connections), services(writes), stack(config(connections), timers_, *this, services, counters) {}

  TcpClient client;
  Services services;
  Counters counters;

  Packet allocate(size_t size) override { return pool_.allocate(size); }
  void output(std::span<Packet> packets) override {
    for (Packet &packet : packets) {
      sent_packets++;
      answered_.push_back(client.take(packet.bytes()));
      packet.reset();
    }
  }
  uint64_t sent_packets = 0;

  void open_all() {
    for (size_t i = 0; i < client.connections(); i++) open(i);
  }
  void open(size_t connection) {
    add([&](uint8_t *at) { return client.syn(connection, at); });
    handle();
    if (!client.is_open(connection)) fail("no SYN-ACK");
    add([&](uint8_t *at) { return client.acknowledgment(connection, at); });
    handle();
  }

  // Puts a packet into the next batch, parsed as the shard does.
  template <typename Make>
  void add(Make make) {
    Packet packet = pool_.allocate(kFullPacket);
    packet.resize(make(packet.data()));
    packet.client = 1;
    auto parsed = parse_packet(packet.bytes());
    auto *good = std::get_if<ParsedPacket>(&parsed);
    if (!good) fail("a packet that is not one");
    batch_.push_back({std::move(packet), *good});
  }
  // One turn of the stack over the batch.
  void handle() {
    timers_.advance(timers_.now() + microseconds(50));
    stack.input(batch_);
    stack.flush();
    batch_.clear();
  }
  // Acknowledges what came out since.
  void acknowledge() {
    std::sort(answered_.begin(), answered_.end());
    answered_.erase(std::unique(answered_.begin(), answered_.end()), answered_.end());
    for (size_t connection : answered_) add([&](uint8_t *at) { return client.acknowledgment(connection, at); });
    answered_.clear();
  }

 private:
  static StackConfig config(size_t connections) {
    StackConfig config;
    config.max_connections = std::max(config.max_connections, connections);
    config.secret[0] = 1, config.secret[1] = 2;
    return config;
  }

  TimerWheel timers_{Time(seconds(1000))};
  BufferPool pool_{2048, 1 << 16, 4096};
  std::vector<LinkPacket> batch_;
  std::vector<size_t> answered_;

 public:
  Stack stack;
};

}  // namespace slipgate::bench
