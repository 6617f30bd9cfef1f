#include "wire/gue.h"

#include "wire/checksum.h"

namespace slipgate {

namespace {

constexpr uint8_t kIpv4 = 4;   // IP in IP
constexpr uint8_t kIpv6 = 41;  // IPv6 in IP

int version_of(Bytes packet) {
  return packet.empty() ? 0 : packet[0] >> 4;
}

std::variant<GuePayload, DropReason> bare_packet(Bytes datagram, DropReason otherwise) {
  const int version = version_of(datagram);
  if (version != 4 && version != 6) return otherwise;
  return GuePayload{.v4 = version == 4};
}

// The fields behind the header (section 3.3). What no flag announces is private data, which is dropped with its packet
// by who did not agree on any (section 3.4).
bool read_fields(ByteReader fields, uint16_t flags, GuePayload &payload) {
  if (flags & ~GueHeader::kPrivateFlags) return false;  // lesson: gue-unknown-flag
  if (flags & GueHeader::kPrivateFlags) {
    const uint32_t more = fields.u32();
    if (more & ~GueHeader::kRemoteChecksum) return false;
    if (more & GueHeader::kRemoteChecksum) {
      const uint16_t start = fields.u16(), field = fields.u16();
      payload.unfinished = GueRemoteChecksum{start, field};
    }
  }
  return fields.ok() && fields.remaining() == 0;  // lesson: gue-private-data
}

}  // namespace

std::variant<GuePayload, DropReason> parse_gue(Bytes datagram) {
  if (datagram.empty()) return DropReason::gue_bad_header;
  const int variant = datagram[0] >> 6;
  // Variant 1 is direct encapsulation (section 4): its bits are the first two of the packet's own version.
  if (variant == 1) return bare_packet(datagram, DropReason::gue_unknown_variant);
  if (variant != 0) return DropReason::gue_unknown_variant;

  const auto *header = view_as<GueHeader>(datagram);
  if (!header || header->header_length() > datagram.size()) return DropReason::gue_bad_header;  // lesson: gue-length
  // No type of control message is ours to answer; unknown ones are dropped (section 3.2.2).
  if (header->is_control()) return DropReason::gue_control_message;
  GuePayload payload{.offset = header->header_length(), .has_header = true};
  const Bytes fields = datagram.subspan(sizeof(GueHeader), payload.offset - sizeof(GueHeader));
  if (!read_fields(ByteReader(fields), header->flags, payload)) return DropReason::gue_unknown_field;
  if (header->protocol != kIpv4 && header->protocol != kIpv6) return DropReason::gue_unknown_protocol;
  payload.v4 = header->protocol == kIpv4;
  // lesson: gue-inner-version
  if (version_of(datagram.subspan(payload.offset)) != (payload.v4 ? 4 : 6)) return DropReason::gue_bad_inner;
  return payload;
}

std::variant<GuePayload, DropReason> parse_fou(Bytes datagram) {
  return bare_packet(datagram, DropReason::gue_bad_inner);
}

bool finish_checksum(MutableBytes packet, const GueRemoteChecksum &unfinished) {
  const size_t start = unfinished.start, field = unfinished.field;
  // lesson: gue-remote-checksum-bounds
  if (start > packet.size() || field < start || field + sizeof(ChecksumField) > packet.size()) return false;
  // The field holds the sum of the pseudo header, so that the sum of everything is what it has to be the inverse of.
  const uint16_t sum = checksum_of(ones_complement_sum(packet.subspan(start)));
  // RFC 768: zero would say that there is none.
  *view_as<ChecksumField>(packet.subspan(field)) = sum ? sum : uint16_t{0xffff};
  return true;
}

GueHeader gue_header(bool v4) {
  return {.variant_control_length = 0, .protocol = v4 ? kIpv4 : kIpv6, .flags = uint16_t{0}};
}

}  // namespace slipgate
