// One stack with a script on its other end: segments in, packets out, in virtual time.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/packet.h"
#include "base/timer_wheel.h"
#include "stack/stack.h"
#include "support/catch.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"
#include "wire/udp.h"

namespace slipgate::stack_test {

constexpr uint8_t FIN = TcpHeader::kFin, SYN = TcpHeader::kSyn, RST = TcpHeader::kRst, PSH = TcpHeader::kPsh,
                  ACK = TcpHeader::kAck, URG = TcpHeader::kUrg, ECE = TcpHeader::kEce, CWR = TcpHeader::kCwr;

inline Bytes bytes(std::string_view text) {
  return bytes_of(text);
}

// A segment as the client sends it.
struct Segment {
  uint8_t flags = ACK;
  uint32_t sequence = 0;
  uint32_t acknowledgment = 0;
  uint16_t window = 65535;
  std::string payload{};
  std::vector<uint8_t> options{};  // a multiple of four
  uint8_t ttl = 64;
  uint8_t traffic_class = 0;
  uint16_t urgent = 0;
  bool spoil_checksum = false;
  std::vector<uint8_t> ip_options{};  // IPv4, a multiple of four
};

// What came out.
struct Sent {
  ParsedPacket parsed;  // parsed.key: inside is the source, so the gateway's side
  std::vector<uint8_t> packet;

  const TcpHeader &tcp() const { return *view_as<TcpHeader>(Bytes(packet).subspan(parsed.transport_offset)); }
  std::string payload() const {
    return std::string(text_of(Bytes(packet).subspan(parsed.transport_offset + tcp().header_length())));
  }
  TcpOptions options() const {
    return parse_tcp_options(
        Bytes(packet).subspan(parsed.transport_offset + sizeof(TcpHeader), tcp().header_length() - sizeof(TcpHeader)));
  }
  bool checksum_holds() const {
    Bytes transport = Bytes(packet).subspan(parsed.transport_offset);
    uint16_t sum = ones_complement_sum(transport);
    if (parsed.key.protocol != Protocol::icmp) {
      sum = add_sums(
          sum, pseudo_header_sum(parsed.key.inside.address, parsed.key.outside.address,
                                 static_cast<uint8_t>(parsed.key.protocol), static_cast<uint32_t>(transport.size())));
    }
    return checksum_of(sum) == 0;
  }
};

class Harness : public StackOutput, public StackEvents {
 public:
  explicit Harness(bool v4 = true, StackConfig config = {})
      : counters(), stack((config.secret[0] = 1, config.secret[1] = 2, config), wheel, *this, *this, counters) {
    key.inside = {v4 ? IpAddress::v4(10, 0, 0, 2) : *IpAddress::parse("fd00::2"), 40000};
    key.outside = {v4 ? IpAddress::v4(192, 0, 2, 80) : *IpAddress::parse("2001:db8::80"), 80};
  }

  // --- the client's side ---

  Packet make(const Segment &segment) { return make(key, segment); }
  Packet make(const FlowKey &from, const Segment &segment) {
    std::vector<uint8_t> transport(sizeof(TcpHeader) + segment.options.size() + segment.payload.size());
    TcpHeader &header = *reinterpret_cast<TcpHeader *>(transport.data());
    header.source_port = from.inside.port;
    header.destination_port = from.outside.port;
    header.sequence = segment.sequence;
    header.acknowledgment = segment.acknowledgment;
    header.data_offset = static_cast<uint8_t>((sizeof(TcpHeader) + segment.options.size()) / 4 << 4);
    header.flags = segment.flags;
    header.window = segment.window;
    header.urgent_pointer = segment.urgent;
    std::copy(segment.options.begin(), segment.options.end(), transport.begin() + sizeof(TcpHeader));
    std::copy(segment.payload.begin(), segment.payload.end(),
              transport.begin() + static_cast<ptrdiff_t>(sizeof(TcpHeader) + segment.options.size()));
    header.checksum = 0;
    header.checksum = checksum_of(add_sums(
        ones_complement_sum(transport),
        pseudo_header_sum(from.inside.address, from.outside.address, 6, static_cast<uint32_t>(transport.size()))));
    if (segment.spoil_checksum) header.checksum = static_cast<uint16_t>(header.checksum ^ 0x0100);
    return wrap(from, Protocol::tcp, transport, segment.ttl, segment.traffic_class, segment.ip_options);
  }
  Packet make_udp(std::string_view payload, int checksum = -1, int length = -1) {
    std::vector<uint8_t> transport(sizeof(UdpHeader) + payload.size());
    UdpHeader &header = *reinterpret_cast<UdpHeader *>(transport.data());
    header.source_port = key.inside.port;
    header.destination_port = key.outside.port;
    header.length = static_cast<uint16_t>(length < 0 ? static_cast<int>(transport.size()) : length);
    std::copy(payload.begin(), payload.end(), transport.begin() + sizeof(UdpHeader));
    header.checksum = 0;
    uint16_t good = checksum_of(add_sums(
        ones_complement_sum(transport),
        pseudo_header_sum(key.inside.address, key.outside.address, 17, static_cast<uint32_t>(transport.size()))));
    header.checksum = checksum < 0 ? good : static_cast<uint16_t>(checksum);
    return wrap(key, Protocol::udp, transport);
  }
  // An ICMP or ICMPv6 message: its bytes with the checksum still to be filled in.
  Packet make_icmp(std::vector<uint8_t> message, bool spoil = false) {
    bool v4 = key.is_v4();
    IcmpHeader &header = *reinterpret_cast<IcmpHeader *>(message.data());
    header.checksum = 0;
    uint16_t sum = ones_complement_sum(message);
    if (!v4) {
      sum = add_sums(
          sum, pseudo_header_sum(key.inside.address, key.outside.address, 58, static_cast<uint32_t>(message.size())));
    }
    header.checksum = checksum_of(sum);
    if (spoil) header.checksum = static_cast<uint16_t>(header.checksum ^ 0x0100);
    return wrap(key, v4 ? Protocol::icmp : Protocol::icmpv6, message);
  }
  Packet wrap(const FlowKey &from, Protocol protocol, Bytes transport, uint8_t ttl = 64, uint8_t traffic_class = 0,
              const std::vector<uint8_t> &ip_options = {}) {
    IpFields fields{.source = from.inside.address,
                    .destination = from.outside.address,
                    .protocol = static_cast<uint8_t>(protocol),
                    .ttl = ttl,
                    .traffic_class = traffic_class};
    size_t header = fields.header_size() + ip_options.size();
    Packet packet = input_pool.allocate(header + transport.size());
    write_ip_header(packet.data(), fields, transport.size() + ip_options.size());
    if (!ip_options.empty()) {
      Ipv4Header &ip = *reinterpret_cast<Ipv4Header *>(packet.data());
      ip.version_and_length = static_cast<uint8_t>(0x40 | header / 4);
      std::copy(ip_options.begin(), ip_options.end(), packet.data() + sizeof(Ipv4Header));
      set_ipv4_checksum(ip);
    }
    std::copy(transport.begin(), transport.end(), packet.data() + header);
    packet.client = client;
    return packet;
  }
  // Hands packets to the stack in one batch.
  void input(std::vector<Packet> packets) {
    std::vector<LinkPacket> batch;
    for (Packet &packet : packets) {
      auto parsed = parse_packet(packet.bytes());
      REQUIRE(std::holds_alternative<ParsedPacket>(parsed));
      batch.push_back({std::move(packet), std::get<ParsedPacket>(parsed)});
    }
    stack.input(batch);
  }
  void input(Packet packet) {
    std::vector<Packet> packets;
    packets.push_back(std::move(packet));
    input(std::move(packets));
  }
  // Segments in one batch, and the end of the turn.
  void send(const std::vector<Segment> &segments) {
    std::vector<Packet> packets;
    for (const Segment &segment : segments) packets.push_back(make(segment));
    input(std::move(packets));
    stack.flush();
  }
  void send(const Segment &segment) { send(std::vector<Segment>{segment}); }

  // --- what came out ---

  bool quiet() {
    stack.flush();
    return sent.empty();
  }
  Sent next() {
    stack.flush();
    REQUIRE_FALSE(sent.empty());
    Sent first = std::move(sent.front());
    sent.pop_front();
    return first;
  }
  std::vector<Sent> all() {
    stack.flush();
    std::vector<Sent> result(std::make_move_iterator(sent.begin()), std::make_move_iterator(sent.end()));
    sent.clear();
    return result;
  }
  void pass(Duration time) {
    Time end = wheel.now() + time;
    stack.flush();
    while (wheel.next_deadline() <= end) {
      wheel.advance(std::max(wheel.next_deadline(), wheel.now()));
      stack.flush();
    }
    wheel.advance(end);
    stack.flush();
  }

  // --- a connection ---

  // SYN options of a usual client: MSS 1380, SACK permitted, window scale 7.
  static std::vector<uint8_t> usual_options() { return {2, 4, 5, 100, 1, 1, 4, 2, 1, 3, 3, 7}; }

  // SYN, accepted, SYN-ACK, ACK: `ours` is what the client may send next, `theirs` what it expects.
  void open(std::vector<uint8_t> options = usual_options(), uint16_t window = 65535, uint8_t ecn = 0) {
    send({.flags = static_cast<uint8_t>(SYN | ecn), .sequence = 1000, .options = std::move(options)});
    REQUIRE(request);
    stream = request->accept();
    request.reset();
    REQUIRE(stream);
    Sent answer = next();
    REQUIRE((answer.tcp().flags & ~ECE) == (SYN | ACK));
    REQUIRE(answer.tcp().acknowledgment.value() == 1001);
    ours = 1001;
    theirs = answer.tcp().sequence + 1;
    send({.sequence = ours, .acknowledgment = theirs, .window = window});
    REQUIRE(quiet());
  }
  // The client sends data in order.
  Segment data(std::string payload, uint8_t flags = ACK | PSH) {
    Segment segment{.flags = flags, .sequence = ours, .acknowledgment = theirs, .payload = std::move(payload)};
    ours += static_cast<uint32_t>(segment.payload.size());
    return segment;
  }
  std::string read() {
    std::string result;
    while (true) {
      Peeked peeked = stream->peek(1 << 20);
      if (peeked.size == 0) return result;
      for (const iovec &piece : peeked.pieces) result.append(static_cast<char *>(piece.iov_base), piece.iov_len);
      stream->consume(peeked.size);
    }
  }
  size_t write(std::string_view text) {
    iovec piece{const_cast<char *>(text.data()), text.size()};
    auto written = stream->write_some({&piece, 1});
    return written ? *written : 0;
  }
  int write_error() {
    char byte = 0;
    iovec piece{&byte, 1};
    auto written = stream->write_some({&piece, 1});
    return written ? 0 : written.error().code;
  }

  Packet allocate(size_t size) override { return output_exhausted ? Packet() : output_pool.allocate(size); }
  void output(std::span<Packet> packets) override {
    for (Packet &packet : packets) {
      auto parsed = parse_packet(packet.bytes());
      REQUIRE(std::holds_alternative<ParsedPacket>(parsed));
      Sent one{std::get<ParsedPacket>(parsed), std::vector<uint8_t>(packet.data(), packet.data() + packet.size())};
      if (!one.parsed.fragment) CHECK(one.checksum_holds());
      sent.push_back(std::move(one));
    }
  }
  void on_tcp_request(StreamRequestPtr taken) override {
    requests++;
    request = std::move(taken);
  }
  void on_datagram(const FlowKey &from, uint32_t, Bytes payload, const DatagramInfo &info, Bytes) override {
    datagrams.push_back({from, std::string(text_of(payload)), info});
  }
  void on_echo(const FlowKey &from, uint32_t, uint16_t sequence, Bytes payload, const DatagramInfo &info,
               Bytes) override {
    echoes.push_back({from, std::string(text_of(payload)), info});
    echo_sequence = sequence;
  }
  void on_icmp_error(const FlowKey &about, uint32_t, uint8_t type, uint8_t code, uint32_t mtu) override {
    icmp_errors.push_back({about, type, code, mtu});
  }

  std::optional<Passage> passes_through(const FlowKey &, uint32_t) override { return passage; }

  struct Received {
    FlowKey key;
    std::string payload;
    DatagramInfo info;
  };
  struct IcmpError {
    FlowKey key;
    uint8_t type;
    uint8_t code;
    uint32_t mtu;
  };

  BufferPool input_pool{2048, 1 << 20, 64};
  BufferPool output_pool{2048, 1 << 20, 64};
  bool output_exhausted = false;
  TimerWheel wheel{Time(seconds(1000))};
  Counters counters;
  FlowKey key;
  uint32_t client = 1;
  std::optional<Passage> passage;
  int requests = 0;
  std::deque<Sent> sent;
  std::vector<Received> datagrams;
  std::vector<Received> echoes;
  std::vector<IcmpError> icmp_errors;
  uint16_t echo_sequence = 0;
  uint32_t ours = 0;
  uint32_t theirs = 0;
  Stack stack;
  StreamRequestPtr request;
  StreamPtr stream;
};

}  // namespace slipgate::stack_test
