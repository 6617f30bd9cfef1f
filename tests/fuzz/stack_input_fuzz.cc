// Stack::input under hostile packets: the input is a script of packets, turns, time and what streams' owners do.
// Packets are raw, or headers with good checksums around bytes of the script, so that what is behind the checksums is
// reached.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/packet.h"
#include "base/timer_wheel.h"
#include "stack/stack.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

using namespace slipgate;

namespace {

constexpr size_t kMostStreams = 8;

class World final : public StackOutput, public StackEvents, public StreamWatcher {
 public:
  World() : stack(config(), wheel, *this, *this, counters) {}

  static StackConfig config() {
    StackConfig config;
    config.tcp_buffer_size = 256 << 10;
    config.max_connections = 64;
    config.max_requests_per_client = 8;
    config.secret[0] = 1;
    return config;
  }

  void input(Packet packet) {
    auto parsed = parse_packet(packet.bytes());
    ParsedPacket *good = std::get_if<ParsedPacket>(&parsed);
    if (good) batch.push_back({std::move(packet), *good});
  }
  void turn() {
    stack.input(batch);
    batch.clear();
    for (StreamRequestPtr &request : requests) {
      if (!request) continue;
      if (StreamPtr stream = request->accept()) {
        if (streams.size() == kMostStreams) streams.erase(streams.begin());
        stream->watch(this);
        streams.push_back(std::move(stream));
      }
    }
    requests.clear();
    stack.flush();
  }
  void pass(Duration time) {
    wheel.advance(wheel.now() + time);
    stack.flush();
  }

  Packet allocate(size_t size) override { return pool.allocate(size); }
  void output(std::span<Packet> packets) override {
    for (Packet &packet : packets) {
      auto parsed = parse_packet(packet.bytes());
      // Whatever comes in, what goes out is well formed.
      ParsedPacket *good = std::get_if<ParsedPacket>(&parsed);
      if (!good || packet.size() > 1420) std::abort();
      if (good->key.protocol == Protocol::tcp) {
        const TcpHeader &header = *view_as<TcpHeader>(packet.bytes().subspan(good->transport_offset));
        sequence = header.sequence;
        acknowledgment = header.acknowledgment;
      }
      packet.reset();
    }
  }
  void on_tcp_request(StreamRequestPtr request) override { requests.push_back(std::move(request)); }
  void on_datagram(const FlowKey &key, uint32_t, Bytes payload, const DatagramInfo &info, Bytes original) override {
    stack.send_datagram(key, payload, info);
    stack.send_icmp_error(key, original, key.outside.address, key.is_v4() ? 3 : 1, 3);
  }
  void on_echo(const FlowKey &key, uint32_t, uint16_t number, Bytes payload, const DatagramInfo &info, Bytes) override {
    stack.send_echo_reply(key, number, payload, info);
  }
  void on_icmp_error(const FlowKey &, uint32_t, uint8_t, uint8_t, uint32_t) override {}
  void on_readable() override {}
  void on_writable() override {}

  BufferPool pool{2048, 1 << 16, 64};
  TimerWheel wheel{Time(seconds(1000))};
  Counters counters;
  std::vector<LinkPacket> batch;
  uint32_t sequence = 0;  // of the last segment that came out
  uint32_t acknowledgment = 0;
  Stack stack;
  std::vector<StreamRequestPtr> requests;
  std::vector<StreamPtr> streams;
};

// A packet of the script's transport bytes between two of a few endpoints, with good checksums.
Packet wrapped(World &world, Protocol protocol, bool v4, uint8_t who, std::vector<uint8_t> transport) {
  IpFields fields{.source = v4 ? IpAddress::v4(10, 0, 0, who & 3) : *IpAddress::parse("fd00::2"),
                  .destination = v4 ? IpAddress::v4(192, 0, 2, 1) : *IpAddress::parse("2001:db8::1"),
                  .protocol = static_cast<uint8_t>(protocol)};
  if (transport.size() > 1300) transport.resize(1300);
  auto sum = [&] {
    return checksum_of(
        add_sums(ones_complement_sum(transport), pseudo_header_sum(fields.source, fields.destination, fields.protocol,
                                                                   static_cast<uint32_t>(transport.size()))));
  };
  if (protocol == Protocol::tcp && transport.size() >= sizeof(TcpHeader)) {
    TcpHeader &header = *reinterpret_cast<TcpHeader *>(transport.data());
    header.source_port = static_cast<uint16_t>(1000 + (who >> 2) % 4);
    header.destination_port = 80;
    header.checksum = 0;
    header.checksum = sum();
  } else if (protocol == Protocol::udp && transport.size() >= sizeof(UdpHeader)) {
    UdpHeader &header = *reinterpret_cast<UdpHeader *>(transport.data());
    header.checksum = 0;
    header.checksum = sum();
  } else if (transport.size() >= 4) {
    transport[2] = transport[3] = 0;
    uint16_t checksum = protocol == Protocol::icmp ? checksum_of(ones_complement_sum(transport)) : sum();
    std::memcpy(transport.data() + 2, &checksum, 2);
  }
  Packet packet = world.pool.allocate(fields.header_size() + transport.size());
  write_ip_header(packet.data(), fields, transport.size());
  std::copy(transport.begin(), transport.end(), packet.data() + fields.header_size());
  packet.client = 1u + (who & 1);
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  World world;
  ByteReader script({data, size});
  while (script.ok() && script.remaining() > 0) {
    uint8_t command = script.u8();
    switch (command % 10) {
      case 0: {  // a raw packet
        Bytes raw = script.take(std::min<size_t>(script.u16() % 1500, script.remaining()));
        Packet packet = world.pool.allocate(raw.size());
        std::copy(raw.begin(), raw.end(), packet.data());
        world.input(std::move(packet));
        break;
      }
      case 1:
      case 2:
      case 3: {  // a segment; its numbers count from what the stack sent last, so that they are near the window
        uint8_t who = script.u8();
        Bytes rest = script.take(std::min<size_t>(script.u8(), script.remaining()));
        std::vector<uint8_t> transport(sizeof(TcpHeader) + rest.size());
        TcpHeader &header = *reinterpret_cast<TcpHeader *>(transport.data());
        header.flags = script.u8();
        header.sequence =
            world.acknowledgment + static_cast<uint32_t>(static_cast<int8_t>(script.u8())) * (command & 64 ? 200 : 1);
        header.acknowledgment = world.sequence + static_cast<uint32_t>(static_cast<int8_t>(script.u8()));
        header.window = script.u16();
        header.urgent_pointer = script.u16();
        header.data_offset =
            static_cast<uint8_t>(command & 128 ? std::min<size_t>(5 + rest.size() / 4, 15) << 4 : 0x50);
        std::copy(rest.begin(), rest.end(), transport.begin() + sizeof(TcpHeader));
        world.input(wrapped(world, Protocol::tcp, command & 32, who, std::move(transport)));
        break;
      }
      case 4:
      case 5: {  // a datagram or an ICMP message
        bool v4 = command & 32;
        Protocol protocol = command % 10 == 4 ? Protocol::udp : v4 ? Protocol::icmp : Protocol::icmpv6;
        Bytes rest = script.take(std::min<size_t>(script.u8(), script.remaining()));
        world.input(wrapped(world, protocol, v4, command, std::vector<uint8_t>(rest.begin(), rest.end())));
        break;
      }
      case 6:
        world.turn();
        break;
      case 7:
        world.pass(milliseconds(1 << (script.u8() % 16)));
        break;
      case 8: {  // a stream's owner writes, or ends
        if (world.streams.empty()) break;
        size_t at = script.u8() % world.streams.size();
        Stream &stream = *world.streams[at];
        uint8_t what = script.u8();
        if (what < 8) {
          stream.shutdown_write();
        } else if (what < 12) {
          stream.abort();
          world.streams.erase(world.streams.begin() + static_cast<ptrdiff_t>(at));
        } else if (what < 20) {
          world.streams.erase(world.streams.begin() + static_cast<ptrdiff_t>(at));
        } else {
          std::vector<uint8_t> block(size_t{what} * 64);
          iovec piece{block.data(), block.size()};
          (void)stream.write_some({&piece, 1});
        }
        break;
      }
      case 9: {  // or reads
        for (StreamPtr &stream : world.streams) {
          Peeked peeked = stream->peek(4096);
          stream->consume(peeked.size > 2 && command & 128 ? peeked.size / 2 : peeked.size);
        }
        break;
      }
    }
  }
  world.turn();
  world.pass(seconds(120));
  world.streams.clear();
  world.stack.flush();
  return 0;
}
