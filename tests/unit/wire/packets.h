// Packets for tests, made byte by byte and not with the code under test.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"

namespace slipgate::test {

using Buf = std::vector<uint8_t>;

inline void put16(Buf &to, unsigned value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}
inline void put32(Buf &to, uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
inline void put(Buf &to, Bytes bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
inline Buf operator+(Buf a, const Buf &b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline IpAddress ip(const char *text) {
  return *IpAddress::parse(text);
}

inline void set_header_checksum(Buf &packet) {
  size_t header = (packet[0] & 15) * 4u;
  packet[10] = packet[11] = 0;
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < header && i + 1 < packet.size(); i += 2) sum += packet[i] << 8 | packet[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  packet[10] = static_cast<uint8_t>(~sum >> 8);
  packet[11] = static_cast<uint8_t>(~sum);
}

struct V4 {
  const char *source = "10.0.0.2";
  const char *destination = "192.0.2.1";
  uint8_t protocol = 17;
  uint16_t fragment = 0;  // flags and offset
  uint16_t identification = 7;
  Buf options = {};
  uint8_t traffic_class = 0;
  uint8_t ttl = 64;
};

inline Buf v4(const V4 &fields, const Buf &payload) {
  Buf packet;
  packet.push_back(static_cast<uint8_t>(0x45 + fields.options.size() / 4));
  packet.push_back(fields.traffic_class);
  put16(packet, static_cast<unsigned>(20 + fields.options.size() + payload.size()));
  put16(packet, fields.identification);
  put16(packet, fields.fragment);
  packet.push_back(fields.ttl);
  packet.push_back(fields.protocol);
  put16(packet, 0);
  put(packet, ip(fields.source).v4_bytes());
  put(packet, ip(fields.destination).v4_bytes());
  put(packet, fields.options);
  set_header_checksum(packet);
  put(packet, payload);
  return packet;
}

struct V6 {
  const char *source = "fd00::2";
  const char *destination = "2001:db8::1";
  uint8_t next_header = 17;
  uint8_t traffic_class = 0;
  uint8_t hop_limit = 64;
};

// `rest`: extension headers and payload.
inline Buf v6(const V6 &fields, const Buf &rest) {
  Buf packet;
  put32(packet, 6u << 28 | uint32_t{fields.traffic_class} << 20);
  put16(packet, static_cast<unsigned>(rest.size()));
  packet.push_back(fields.next_header);
  packet.push_back(fields.hop_limit);
  put(packet, ip(fields.source).v6_bytes());
  put(packet, ip(fields.destination).v6_bytes());
  put(packet, rest);
  return packet;
}

inline Buf tcp(uint16_t from, uint16_t to, uint8_t flags, const Buf &options = {}, const Buf &payload = {}) {
  Buf segment;
  put16(segment, from);
  put16(segment, to);
  put32(segment, 1000);
  put32(segment, 0);
  segment.push_back(static_cast<uint8_t>((5 + options.size() / 4) << 4));
  segment.push_back(flags);
  put16(segment, 65535);
  put32(segment, 0);
  return segment + options + payload;
}

inline Buf udp(uint16_t from, uint16_t to, const Buf &payload = {}) {
  Buf datagram;
  put16(datagram, from);
  put16(datagram, to);
  put16(datagram, static_cast<unsigned>(8 + payload.size()));
  put16(datagram, 0);
  return datagram + payload;
}

inline Buf echo(uint8_t type, uint16_t identifier, uint16_t sequence, const Buf &payload = {}) {
  Buf message{type, 0, 0, 0};
  put16(message, identifier);
  put16(message, sequence);
  return message + payload;
}

// A fragment header of IPv6; `offset` in bytes.
inline Buf fragment_header(uint8_t next_header, unsigned offset, bool more, uint32_t identification) {
  Buf header{next_header, 0};
  put16(header, offset | (more ? 1 : 0));
  put32(header, identification);
  return header;
}

}  // namespace slipgate::test
