#include "stack/icmp_error.h"

#include <algorithm>
#include <cstring>

#include "wire/icmp.h"
#include "wire/ip.h"

namespace slipgate {
namespace {

constexpr size_t kMostBytesV4 = 576;              // RFC 1812 section 4.3.2.3
constexpr size_t kMostBytesV6 = kIpv6MinimumMtu;  // RFC 4443 section 2.4 c

}  // namespace

bool may_answer_with_icmp_error(Bytes original, uint8_t type) {
  std::variant<ParsedPacket, DropReason> result = parse_packet(original);
  const ParsedPacket *parsed = std::get_if<ParsedPacket>(&result);
  if (!parsed) return false;
  bool v4 = parsed->key.is_v4();
  const IpAddress &destination = parsed->key.outside.address;
  if (destination.is_broadcast()) return false;
  if (destination.is_multicast() && (v4 || type != icmpv6::kPacketTooBig)) return false;

  bool later = false;
  if (parsed->fragment) {
    later = v4 ? (view_as<Ipv4Header>(original)->fragment & Ipv4Header::kOffsetMask) != 0
               : (view_as<Ipv6FragmentHeader>(original.subspan(parsed->transport_offset - sizeof(Ipv6FragmentHeader)))
                      ->offset_and_more &
                  Ipv6FragmentHeader::kOffsetMask) != 0;
  }
  if (later) return false;

  Bytes transport = original.subspan(parsed->transport_offset);
  if (parsed->key.protocol == Protocol::icmp || parsed->key.protocol == Protocol::icmpv6) {
    if (transport.empty()) return false;
    bool error =
        v4 ? icmp::is_error(transport[0]) : icmpv6::is_error(transport[0]) || transport[0] == icmpv6::kRedirect;
    if (error) return false;  // lesson: no-error-about-error
  }
  return true;
}

Packet make_icmp_error(Bytes original, const IpAddress &from, uint8_t type, uint8_t code, uint32_t info32,
                       StackOutput &output, uint8_t ttl) {
  bool v4 = !original.empty() && original[0] >> 4 == 4;
  if (original.size() < (v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header)) || from.is_v4() != v4) return {};
  IpFields fields;
  fields.source = from;
  fields.destination = v4 ? view_as<Ipv4Header>(original)->source() : view_as<Ipv6Header>(original)->source();
  fields.protocol = static_cast<uint8_t>(v4 ? Protocol::icmp : Protocol::icmpv6);
  fields.ttl = ttl;
  size_t header = fields.header_size();
  size_t most = (v4 ? kMostBytesV4 : kMostBytesV6) - header - sizeof(IcmpHeader);
  size_t quoted = std::min(original.size(), most);
  size_t size = sizeof(IcmpHeader) + quoted;

  Packet packet = output.allocate(header + size);
  if (!packet) return {};
  write_ip_header(packet.data(), fields, size);
  auto &error = *reinterpret_cast<IcmpHeader *>(packet.data() + header);
  error.type = type;
  error.code = code;
  error.checksum = 0;
  error.rest = info32;
  std::memcpy(packet.data() + header + sizeof(IcmpHeader), original.data(), quoted);
  uint16_t sum = ones_complement_sum({packet.data() + header, size});
  if (!v4) {
    sum = add_sums(sum,
                   pseudo_header_sum(fields.source, fields.destination, fields.protocol, static_cast<uint32_t>(size)));
  }
  error.checksum = checksum_of(sum);
  return packet;
}

bool IcmpErrorLimiter::allow(uint32_t client, Time now) {
  Bucket &bucket = buckets_[client % kBuckets];
  Time full_at = std::max(bucket.full_at, now) + kInterval;
  if (full_at > now + kBurst * kInterval) return false;  // lesson: icmp-error-rate
  bucket.full_at = full_at;
  return true;
}

}  // namespace slipgate
