#include "wire/flow_key.h"

#include <bit>
#include <cstring>
#include <optional>

#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace slipgate {
namespace {

// Extension headers before the transport header. Real packets have one or two (RFC 8504 section 5.3 lets a host set a
// limit).
constexpr int kMostExtensionHeaders = 8;

// Options of RFC 8200 section 4.2. Other options whose two high bits are 0 may be passed over.
constexpr uint8_t kPad1 = 0;
constexpr uint8_t kOptionMustBeKnown = 0xc0;

using Parsed = std::variant<ParsedPacket, DropReason>;

std::optional<Protocol> served(uint8_t number, bool v4) {
  switch (static_cast<Protocol>(number)) {
    case Protocol::tcp:
    case Protocol::udp:
      return static_cast<Protocol>(number);
    case Protocol::icmp:
      return v4 ? std::optional(Protocol::icmp) : std::nullopt;
    case Protocol::icmpv6:
      return v4 ? std::nullopt : std::optional(Protocol::icmpv6);
  }
  return std::nullopt;
}

std::optional<DropReason> check_addresses(const IpAddress &source, const IpAddress &destination) {
  if (source.is_multicast() || source.is_broadcast() || source.is_loopback() || source.is_unspecified()) {
    return DropReason::bad_source;  // lesson: syn-from-broadcast
  }
  if (destination.is_unspecified()) return DropReason::bad_destination;
  return std::nullopt;
}

// The transport header and the ports, of a packet that is not a fragment. `transport`: to the end of the packet.
Parsed parse_transport(ParsedPacket parsed, Bytes transport) {
  FlowKey &key = parsed.key;
  switch (key.protocol) {
    case Protocol::tcp: {
      const TcpHeader *tcp = view_as<TcpHeader>(transport);
      if (!tcp) return DropReason::too_short;
      size_t header = tcp->header_length();
      if (header < sizeof(TcpHeader)) return DropReason::bad_header;
      if (header > transport.size()) return DropReason::too_short;
      key.inside.port = tcp->source_port;
      key.outside.port = tcp->destination_port;
      if (key.inside.port == 0) return DropReason::bad_source;
      if (key.outside.port == 0) return DropReason::bad_destination;  // lesson: syn-to-port-0
      parsed.tcp_flags = tcp->flags;
      return parsed;
    }
    case Protocol::udp: {
      const UdpHeader *udp = view_as<UdpHeader>(transport);
      if (!udp) return DropReason::too_short;
      if (udp->length < sizeof(UdpHeader)) return DropReason::bad_header;
      if (udp->length > transport.size()) return DropReason::too_short;
      key.inside.port = udp->source_port;
      key.outside.port = udp->destination_port;
      if (key.outside.port == 0) return DropReason::bad_destination;
      return parsed;
    }
    case Protocol::icmp:
    case Protocol::icmpv6: {
      const IcmpEcho *echo = view_as<IcmpEcho>(transport);
      if (!echo) return DropReason::too_short;
      bool is_echo = key.protocol == Protocol::icmp
                         ? echo->type == icmp::kEcho || echo->type == icmp::kEchoReply
                         : echo->type == icmpv6::kEchoRequest || echo->type == icmpv6::kEchoReply;
      if (is_echo) key.inside.port = echo->identifier;
      return parsed;
    }
  }
  return DropReason::unknown_protocol;
}

Parsed parse_v4(Bytes packet) {
  const Ipv4Header *ip = view_as<Ipv4Header>(packet);
  if (!ip) return DropReason::too_short;
  size_t header = ip->header_length(), length = ip->total_length;
  if (header < sizeof(Ipv4Header) || length < header) return DropReason::bad_header;
  if (length > packet.size()) return DropReason::too_short;
  if (ones_complement_sum(packet.first(header)) != 0xffff) return DropReason::bad_checksum;

  ParsedPacket parsed;
  parsed.key.inside.address = ip->source();
  parsed.key.outside.address = ip->destination();
  if (std::optional<DropReason> bad = check_addresses(ip->source(), ip->destination())) return *bad;
  std::optional<Protocol> protocol = served(ip->protocol, true);
  if (!protocol) return DropReason::unknown_protocol;
  parsed.key.protocol = *protocol;
  parsed.transport_offset = static_cast<uint16_t>(header);
  parsed.length = static_cast<uint32_t>(length);
  parsed.ttl = ip->ttl;
  parsed.traffic_class = ip->traffic_class;
  uint16_t fragment = ip->fragment;
  parsed.dont_fragment = (fragment & Ipv4Header::kDontFragment) != 0;
  parsed.fragment = (fragment & (Ipv4Header::kMoreFragments | Ipv4Header::kOffsetMask)) != 0;
  parsed.has_ip_options = header > sizeof(Ipv4Header);
  if (parsed.fragment) return parsed;
  return parse_transport(parsed, packet.subspan(header, length - header));
}

// RFC 8200 section 4.2: the options lie whole inside the header, and none that we do not know asks to be refused.
bool options_acceptable(Bytes options) {
  ByteReader reader(options);
  while (reader.remaining() > 0) {
    uint8_t type = reader.u8();
    if (type == kPad1) continue;
    if (type & kOptionMustBeKnown) return false;
    reader.skip(reader.u8());
  }
  return reader.ok();
}

Parsed parse_v6(Bytes packet) {
  const Ipv6Header *ip = view_as<Ipv6Header>(packet);
  if (!ip) return DropReason::too_short;
  size_t length = sizeof(Ipv6Header) + ip->payload_length;
  if (length > packet.size()) return DropReason::too_short;

  ParsedPacket parsed;
  parsed.key.inside.address = ip->source();
  parsed.key.outside.address = ip->destination();
  // IPv4-mapped addresses never appear on the wire (RFC 4942 section 2.2); behind this they would pass for IPv4.
  if (ip->source().is_v4()) return DropReason::bad_source;
  if (ip->destination().is_v4()) return DropReason::bad_destination;  // lesson: mapped-destination
  if (std::optional<DropReason> bad = check_addresses(ip->source(), ip->destination())) return *bad;
  parsed.length = static_cast<uint32_t>(length);
  parsed.ttl = ip->hop_limit;
  parsed.traffic_class = ip->traffic_class();
  parsed.dont_fragment = true;

  ByteReader reader(packet.first(length));
  reader.skip(sizeof(Ipv6Header));
  uint8_t next = ip->next_header;
  for (int headers = 0;; headers++) {
    bool extension = next == ipv6_next_header::kHopByHop || next == ipv6_next_header::kRouting ||
                     next == ipv6_next_header::kDestinationOptions || next == ipv6_next_header::kFragment;
    if (!extension) break;
    if (headers == kMostExtensionHeaders) return DropReason::bad_option;
    parsed.has_ip_options = true;
    if (next == ipv6_next_header::kFragment) {
      const Ipv6FragmentHeader *fragment = view_as<Ipv6FragmentHeader>(reader.take(sizeof(Ipv6FragmentHeader)));
      if (!fragment) return DropReason::too_short;
      next = fragment->next_header;
      // Neither offset nor more: an atomic fragment, whole in itself (RFC 6946).
      uint16_t offset_and_more = fragment->offset_and_more;
      if (offset_and_more & (Ipv6FragmentHeader::kOffsetMask | Ipv6FragmentHeader::kMoreFragments)) {
        parsed.fragment = true;
        break;
      }
      continue;
    }
    // Hop-by-hop options stand first or nowhere (RFC 8200 section 4.1).
    if (next == ipv6_next_header::kHopByHop && headers > 0) return DropReason::bad_option;
    Bytes begin = packet.subspan(reader.position(), reader.remaining());
    const Ipv6ExtensionHeader *header = view_as<Ipv6ExtensionHeader>(begin);
    if (!header) return DropReason::too_short;
    Bytes whole = reader.take(header->header_length());
    if (whole.empty()) return DropReason::too_short;  // lesson: extension-header-past-end
    if (next == ipv6_next_header::kRouting) {
      constexpr size_t kSegmentsLeft = 3;
      // We are the destination of whatever comes: a route that goes on from here is not ours (RFC 8200 section 4.4, RFC
      // 5095).
      if (whole[kSegmentsLeft] != 0) return DropReason::bad_option;
    } else if (!options_acceptable(whole.subspan(sizeof(Ipv6ExtensionHeader)))) {
      return DropReason::bad_option;
    }
    next = header->next_header;
  }

  std::optional<Protocol> protocol = served(next, false);
  if (!protocol) return DropReason::unknown_protocol;
  parsed.key.protocol = *protocol;
  parsed.transport_offset = static_cast<uint16_t>(reader.position());
  if (parsed.fragment) return parsed;
  return parse_transport(parsed, reader.rest());
}

// SipHash (Aumasson and Bernstein 2012) with one round per word and three to finish: what hash tables use.
class SipHash13 {
 public:
  explicit SipHash13(const uint64_t secret[2])
      : v0_(secret[0] ^ 0x736f6d6570736575),
        v1_(secret[1] ^ 0x646f72616e646f6d),
        v2_(secret[0] ^ 0x6c7967656e657261),
        v3_(secret[1] ^ 0x7465646279746573) {}

  void word(uint64_t word) {
    v3_ ^= word;
    round();
    v0_ ^= word;
  }
  // `last`: up to seven bytes, and the length of it all, modulo 256, in the highest byte.
  uint64_t finish(uint64_t last) {
    word(last);
    v2_ ^= 0xff;
    round();
    round();
    round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  void round() {
    v0_ += v1_, v1_ = std::rotl(v1_, 13), v1_ ^= v0_, v0_ = std::rotl(v0_, 32);
    v2_ += v3_, v3_ = std::rotl(v3_, 16), v3_ ^= v2_;
    v0_ += v3_, v3_ = std::rotl(v3_, 21), v3_ ^= v0_;
    v2_ += v1_, v1_ = std::rotl(v1_, 17), v1_ ^= v2_, v2_ = std::rotl(v2_, 32);
  }

  uint64_t v0_, v1_, v2_, v3_;
};

template <typename T>
T load(Bytes bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

}  // namespace

std::variant<ParsedPacket, DropReason> parse_packet(Bytes packet) {
  if (packet.empty()) return DropReason::too_short;
  int version = packet[0] >> 4;
  if (version == 4) return parse_v4(packet);
  if (version == 6) return parse_v6(packet);
  return DropReason::bad_version;
}

std::string_view name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::icmp:
      return "icmp";
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
    case Protocol::icmpv6:
      return "icmpv6";
  }
  return "unknown";
}

std::string FlowKey::to_string() const {
  return std::string(name_of(protocol)) + " " + inside.to_string() + " > " + outside.to_string();
}

uint64_t keyed_hash(const FlowKey &key, const uint64_t secret[2]) {
  SipHash13 hash(secret);  // lesson: table-hash-keyed
  Bytes inside = key.inside.address.family_bytes(), outside = key.outside.address.family_bytes();
  uint64_t rest = uint64_t{key.inside.port} | uint64_t{key.outside.port} << 16 |
                  uint64_t{static_cast<uint8_t>(key.protocol)} << 32 | uint64_t{key.link} << 40;
  // The last word's length tells a short message from a long one: IPv4 needs one word of addresses where IPv6 needs
  // four.
  if (inside.size() == 4 && outside.size() == 4) {
    hash.word(load<uint32_t>(inside) | uint64_t{load<uint32_t>(outside)} << 32);
    return hash.finish(rest | uint64_t{8 + 7} << 56);
  }
  inside = key.inside.address.v6_bytes(), outside = key.outside.address.v6_bytes();
  hash.word(load<uint64_t>(inside));
  hash.word(load<uint64_t>(inside.subspan(8)));
  hash.word(load<uint64_t>(outside));
  hash.word(load<uint64_t>(outside.subspan(8)));
  return hash.finish(rest | uint64_t{32 + 7} << 56);
}

}  // namespace slipgate
