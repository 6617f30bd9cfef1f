// IPv4 (RFC 791) and IPv6 (RFC 8200) headers as they lie on the wire.
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace slipgate {

// RFC 791 section 3.1, RFC 2474 (the traffic class was the type of service).
struct Ipv4Header {
  static constexpr uint16_t kDontFragment = 0x4000;
  static constexpr uint16_t kMoreFragments = 0x2000;
  static constexpr uint16_t kOffsetMask = 0x1fff;  // in units of 8 bytes
  static constexpr size_t kMostBytes = 60;

  uint8_t version_and_length;  // version 4, header length in 32-bit words
  uint8_t traffic_class;       // DSCP and ECN
  be16 total_length;           // header and payload
  be16 identification;
  be16 fragment;  // flags and offset
  uint8_t ttl;
  uint8_t protocol;
  ChecksumField checksum;  // of the header alone
  uint8_t source_bytes[4];
  uint8_t destination_bytes[4];

  int version() const { return version_and_length >> 4; }
  size_t header_length() const { return (version_and_length & 15) * size_t{4}; }
  IpAddress source() const { return IpAddress::from_v4(source_bytes); }
  IpAddress destination() const { return IpAddress::from_v4(destination_bytes); }
};
static_assert(sizeof(Ipv4Header) == 20);

// RFC 8200 section 3.
struct Ipv6Header {
  be32 version_class_flow;  // 4 bits, 8 bits, 20 bits
  be16 payload_length;      // everything behind this header
  uint8_t next_header;
  uint8_t hop_limit;
  uint8_t source_bytes[16];
  uint8_t destination_bytes[16];

  int version() const { return static_cast<int>(version_class_flow.value() >> 28); }
  uint8_t traffic_class() const { return static_cast<uint8_t>(version_class_flow.value() >> 20); }
  IpAddress source() const { return IpAddress::from_v6(source_bytes); }
  IpAddress destination() const { return IpAddress::from_v6(destination_bytes); }
};
static_assert(sizeof(Ipv6Header) == 40);

// What all extension headers but the fragment header begin with (RFC 8200 sections 4.3, 4.4, 4.6).
struct Ipv6ExtensionHeader {
  uint8_t next_header;
  uint8_t length;  // in units of 8 bytes, the first 8 not counted

  size_t header_length() const { return (length + size_t{1}) * 8; }
};
static_assert(sizeof(Ipv6ExtensionHeader) == 2);

// RFC 8200 section 4.5.
struct Ipv6FragmentHeader {
  static constexpr uint16_t kMoreFragments = 1;
  static constexpr uint16_t kOffsetMask = 0xfff8;  // in bytes

  uint8_t next_header;
  uint8_t reserved;
  be16 offset_and_more;
  be32 identification;
};
static_assert(sizeof(Ipv6FragmentHeader) == 8);

// Values of next_header that are not a transport protocol (RFC 8200 section 4, RFC 4302 for 51).
namespace ipv6_next_header {
inline constexpr uint8_t kHopByHop = 0;
inline constexpr uint8_t kRouting = 43;
inline constexpr uint8_t kFragment = 44;
inline constexpr uint8_t kAuthentication = 51;
inline constexpr uint8_t kNone = 59;
inline constexpr uint8_t kDestinationOptions = 60;
}  // namespace ipv6_next_header

inline constexpr size_t kIpv6MinimumMtu = 1280;  // RFC 8200 section 5
inline constexpr uint8_t kDscpMask = 0xfc;       // of the traffic class; the rest is ECN
// RFC 3168 section 5: what the rest says.
inline constexpr uint8_t kEcnMask = 0x03;
inline constexpr uint8_t kEcnCapable = 0x02;             // ECT(0)
inline constexpr uint8_t kCongestionExperienced = 0x03;  // CE
inline constexpr uint8_t kDefaultTtl = 64;               // RFC 1700

// What a header that we make says. Both addresses are of one family, which decides the kind of header.
struct IpFields {
  IpAddress source;
  IpAddress destination;
  uint8_t protocol = 0;
  uint8_t ttl = kDefaultTtl;
  uint8_t traffic_class = 0;
  bool dont_fragment = true;    // IPv4 only
  uint32_t identification = 0;  // of fragments; IPv4 takes the low 16 bits

  bool is_v4() const { return source.is_v4(); }
  size_t header_size() const { return is_v4() ? sizeof(Ipv4Header) : sizeof(Ipv6Header); }
};

// Writes a header without options, fields.header_size() bytes at `at`, for `payload_size` bytes behind it. IPv4: with
// its checksum; `fragment` is the field of that name (offset and more-fragments; DF comes from `fields`).
void write_ip_header(uint8_t *at, const IpFields &fields, size_t payload_size, uint16_t fragment = 0);

// Computes an IPv4 header's checksum anew, after its fields were changed.
void set_ipv4_checksum(Ipv4Header &header);

}  // namespace slipgate
