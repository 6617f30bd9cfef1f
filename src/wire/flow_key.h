// One look at a packet: its FlowKey and what later stages need to know, verified here once. Nobody behind this checks
// lengths again (style: verify at the edge, carry the fact in the type).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/address.h"
#include "base/drop_reason.h"
#include "base/packet.h"

namespace slipgate {

// IANA protocol numbers that are served.
enum class Protocol : uint8_t { icmp = 1, tcp = 6, udp = 17, icmpv6 = 58 };

// The two ends of a flow as the client sees them, whichever way a packet goes. `inside` is the client's own endpoint,
// `outside` whom it talks to. Echo: inside.port is the identifier, outside.port 0. Other ICMP and later fragments:
// ports 0.
struct FlowKey {
  Endpoint inside;
  Endpoint outside;
  Protocol protocol = Protocol::tcp;
  uint16_t link = 0;  // clients of different links may have equal addresses

  bool is_v4() const { return inside.address.is_v4(); }
  std::string to_string() const;  // "tcp 10.0.0.2:40000 > 192.0.2.1:80"
  auto operator<=>(const FlowKey &) const = default;
};

std::string_view name_of(Protocol protocol);  // "tcp", "udp", "icmp", "icmpv6"

// SipHash-1-3 of the key under 128 secret bits: clients choose keys, and must not be able to choose where they fall in
// a table.
uint64_t keyed_hash(const FlowKey &key, const uint64_t secret[2]);

// What parse_packet() found. Offsets count from the packet's first byte.
struct ParsedPacket {
  FlowKey key;                    // for a packet from a link: inside = source, outside = destination
  uint16_t transport_offset = 0;  // of the TCP, UDP or ICMP header (of a fragment: of its data): behind IP options and
                                  // extension headers
  uint32_t length = 0;            // of the whole packet as its IP header says; never more than there is
  uint8_t ttl = 0;                // hop limit in IPv6
  uint8_t traffic_class = 0;      // DSCP and ECN
  bool dont_fragment = false;     // IPv4 DF; always true in IPv6
  bool fragment = false;          // part of a fragmented packet: transport header unverified, ports 0
  uint8_t tcp_flags = 0;          // TCP only
  bool has_ip_options = false;    // IPv4 options or IPv6 extension headers
};

// A packet that came from a link, with what was found in it.
struct LinkPacket {
  Packet packet;
  ParsedPacket parsed;
};

// Addresses that no host may send from or to are refused here: a source that is multicast, broadcast, loopback or
// unspecified (RFC 1122 section 3.2.1.3), an unspecified destination, IPv4-mapped addresses in an IPv6 header (they
// would pass for IPv4 ones behind this), TCP to or from port 0, UDP to port 0.
//
// `packet` from its IP header on; bytes behind the IP header's length (padding) are left out of `length`. Checks the
// IPv4 header checksum, and that the transport header is whole; TCP and UDP checksums are the stack's (one pass over
// the data).
std::variant<ParsedPacket, DropReason> parse_packet(Bytes packet);

}  // namespace slipgate
