#include "stack/fragments.h"

#include <algorithm>
#include <cstring>

namespace slipgate {
namespace {

constexpr size_t kUnit = 8;  // all fragments but the last are multiples of this

// Copies [offset, offset + size) of `first` followed by `second`.
void copy_range(uint8_t *to, Bytes first, Bytes second, size_t offset, size_t size) {
  if (offset < first.size()) {
    size_t part = std::min(size, first.size() - offset);
    std::memcpy(to, first.data() + offset, part);
    to += part, offset += part, size -= part;
  }
  if (size > 0) std::memcpy(to, second.data() + (offset - first.size()), size);
}

}  // namespace

bool make_packets(const IpFields &fields, Bytes transport, Bytes payload, size_t mtu, StackOutput &output,
                  Counters &counters, std::vector<Packet> &packets) {
  size_t header = fields.header_size(), size = transport.size() + payload.size();
  size_t most = fields.is_v4() ? 65535 - sizeof(Ipv4Header) : 65535;
  bool whole = header + size <= mtu;
  if (size > most || (!whole && fields.is_v4() && fields.dont_fragment)) {
    counters.drop(DropReason::message_too_long);
    return false;
  }
  if (whole) {
    Packet packet = output.allocate(header + size);
    if (!packet) return counters.drop(DropReason::buffers_exhausted), false;
    write_ip_header(packet.data(), fields, size);
    copy_range(packet.data() + header, transport, payload, 0, size);
    packets.push_back(std::move(packet));
    return true;
  }

  size_t before = packets.size();
  size_t headers = fields.is_v4() ? header : header + sizeof(Ipv6FragmentHeader);
  size_t step = mtu > headers ? (mtu - headers) / kUnit * kUnit : 0;
  if (step == 0) return counters.drop(DropReason::message_too_long), false;
  for (size_t offset = 0; offset < size; offset += step) {
    size_t part = std::min(step, size - offset);
    bool more = offset + part < size;
    Packet packet = output.allocate(headers + part);
    if (!packet) {
      counters.drop(DropReason::buffers_exhausted);
      packets.resize(before);
      return false;
    }
    if (fields.is_v4()) {
      write_ip_header(packet.data(), fields, part,
                      static_cast<uint16_t>(offset / kUnit | (more ? Ipv4Header::kMoreFragments : 0)));
    } else {
      IpFields outer = fields;
      outer.protocol = ipv6_next_header::kFragment;
      write_ip_header(packet.data(), outer, sizeof(Ipv6FragmentHeader) + part);
      auto &fragment = *reinterpret_cast<Ipv6FragmentHeader *>(packet.data() + header);
      fragment.next_header = fields.protocol;
      fragment.reserved = 0;
      fragment.offset_and_more = static_cast<uint16_t>(offset | (more ? Ipv6FragmentHeader::kMoreFragments : 0));
      fragment.identification = fields.identification;
    }
    copy_range(packet.data() + headers, transport, payload, offset, part);
    packets.push_back(std::move(packet));
  }
  return true;
}

uint32_t FragmentIdentification::next(const IpAddress &source, const IpAddress &destination) {
  FlowKey pair;
  pair.inside.address = source;
  pair.outside.address = destination;
  uint64_t hash = keyed_hash(pair, secret_);
  // The offset is the pair's own; the counter may be shared with other pairs, which only makes it faster.
  return static_cast<uint32_t>(hash >> 32) + counters_[hash % kCounters]++;
}

}  // namespace slipgate
