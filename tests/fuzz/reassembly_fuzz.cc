// A stream of fragments: the first byte of each record says its length, client and how time passes; the rest is a
// packet.
#include "stack/reassembly.h"

#include <cstring>

#include "wire/ip.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint64_t kSecret[2] = {1, 2};
  static BufferPool fragments(2048, 4, 4), whole(Reassembly::kBufferBytes, 64, 64);
  Time now{seconds(1)};
  TimerWheel timers(now);
  Counters counters;
  constexpr ReassemblyLimits kLimits{.most_datagrams = 16, .most_datagrams_per_client = 6};
  Reassembly reassembly(kLimits, whole, timers, counters, kSecret);
  reassembly.on_timeout([](const FlowKey &, uint32_t, Bytes first) {
    if (first.size() < sizeof(Ipv4Header)) __builtin_trap();
  });

  ByteReader reader(Bytes(data, size));
  while (reader.remaining() > 2) {
    uint8_t control = reader.u8();
    Bytes record = reader.take(std::min<size_t>(reader.u8() * size_t{4}, reader.remaining()));
    if (control & 0x80) timers.advance(now += seconds(control & 0x3f));
    Packet packet = fragments.allocate(record.size());
    if (!packet) __builtin_trap();
    std::memcpy(packet.data(), record.data(), record.size());
    // The header checksum would keep nearly everything out.
    if (Ipv4Header *ip = view_as<Ipv4Header>(packet.mutable_bytes()); ip && ip->version() == 4) {
      if (ip->header_length() >= sizeof(Ipv4Header) && ip->header_length() <= record.size()) set_ipv4_checksum(*ip);
    }
    packet.client = 1 + (control & 3);
    auto result = parse_packet(packet.bytes());
    ParsedPacket *parsed = std::get_if<ParsedPacket>(&result);
    if (!parsed || !parsed->fragment) continue;
    std::optional<LinkPacket> made = reassembly.add({std::move(packet), *parsed});
    if (reassembly.waiting() > kLimits.most_datagrams) __builtin_trap();
    if (!made) continue;
    if (made->parsed.fragment || made->parsed.length != made->packet.size()) __builtin_trap();
    uint8_t sum = 0;
    for (uint8_t byte : made->packet.bytes()) sum ^= byte;
    volatile uint8_t sink = sum;  // every byte is read
    (void)sink;
  }
  return 0;
}
