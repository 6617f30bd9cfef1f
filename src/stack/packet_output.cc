#include "stack/packet_output.h"

#include <algorithm>

#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace slipgate {
namespace {

// Copies a chain whose first pbuf holds the headers; the sum of all from `transport` on.
uint16_t copy_chain(uint8_t *to, const pbuf *chain, size_t transport) {
  std::memcpy(to, chain->payload, chain->len);
  uint16_t sum = ones_complement_sum({to + transport, chain->len - transport});
  size_t at = chain->len;
  for (const pbuf *part = chain->next; part; part = part->next) {
    uint16_t part_sum = copy_and_sum(to + at, static_cast<const uint8_t *>(part->payload), part->len);
    // RFC 1071 section 2 (B): what begins at an odd offset contributes its sum with the bytes exchanged.
    sum = add_sums(sum, (at - transport) % 2 ? byte_swap(part_sum) : part_sum);
    at += part->len;
  }
  return sum;
}

// What a 16-bit number adds to a sum.
uint16_t sum_of_word(uint16_t word) {
  be16 lies = word;
  uint16_t sum;
  std::memcpy(&sum, &lies, sizeof(sum));
  return sum;
}

// Source and destination lie side by side in both headers.
Bytes addresses_of(const uint8_t *packet, bool v4) {
  return v4 ? Bytes(packet + 12, 8) : Bytes(packet + 8, 32);
}

IpAddress destination_of(const uint8_t *packet, bool v4) {
  return v4 ? IpAddress::from_v4({packet + 16, 4}) : IpAddress::from_v6({packet + 24, 16});
}

uint16_t sum_of_pseudo_header(const uint8_t *packet, bool v4, uint8_t protocol, size_t length) {
  be32 words[2] = {static_cast<uint32_t>(length), protocol};
  return add_sums(ones_complement_sum(addresses_of(packet, v4)), ones_complement_sum(bytes_of(words)));
}

}  // namespace

PacketOutput::PacketOutput(StackOutput &sink, Counters &counters, const StackConfig &config, const PathMtus &paths)
    : sink_(sink), counters_(counters), paths_(paths), identification_(config.secret) {
  batch_.reserve(kBatch);
}

bool PacketOutput::take(const pbuf *chain, uint16_t link, bool dont_fragment, size_t segment_size) {
  const uint8_t *first = static_cast<const uint8_t *>(chain->payload);
  bool v4 = first[0] >> 4 == 4;
  size_t transport = v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  uint8_t protocol = v4 ? first[9] : first[6];
  if (protocol == static_cast<uint8_t>(Protocol::tcp)) {
    const TcpHeader &header = *reinterpret_cast<const TcpHeader *>(first + transport);
    if (chain->tot_len - transport - header.header_length() > segment_size) {
      return take_segments(chain, link, transport, segment_size);
    }
  }
  // A TCP segment is as large as its connection knows that it may be.
  const bool datagram = protocol == static_cast<uint8_t>(Protocol::udp);
  const size_t mtu = paths_.any() && datagram ? paths_.mtu_to(link, destination_of(first, v4)) : paths_.link_mtu(link);
  if (chain->tot_len > mtu) return take_large(chain, link, dont_fragment);
  Packet packet = sink_.allocate(chain->tot_len);
  if (!packet) return send(Packet(), link);
  uint8_t *bytes = packet.data();
  uint16_t sum = copy_chain(bytes, chain, transport);
  sum = add_sums(sum, sum_of_pseudo_header(bytes, v4, protocol, chain->tot_len - transport));
  uint16_t checksum = checksum_of(sum);
  if (protocol == static_cast<uint8_t>(Protocol::tcp)) {
    reinterpret_cast<TcpHeader *>(bytes + transport)->checksum = checksum;
  } else {
    reinterpret_cast<UdpHeader *>(bytes + transport)->checksum = checksum ? checksum : uint16_t{0xffff};  // 0: none
  }
  if (v4) {
    Ipv4Header &header = *reinterpret_cast<Ipv4Header *>(bytes);
    header.fragment = dont_fragment ? Ipv4Header::kDontFragment : 0;
    set_ipv4_checksum(header);
  }
  return send(std::move(packet), link);
}

// Segmentation as network cards do it: the headers of the large segment on each packet, with the sequence number, the
// length and the flags that are the packet's own; all packets or none.
bool PacketOutput::take_segments(const pbuf *chain, uint16_t link, size_t transport, size_t segment_size) {
  const uint8_t *headers = static_cast<const uint8_t *>(chain->payload);
  const bool v4 = transport == sizeof(Ipv4Header);
  const TcpHeader &large = *reinterpret_cast<const TcpHeader *>(headers + transport);
  const size_t header_bytes = transport + large.header_length();
  size_t left = chain->tot_len - header_bytes;
  size_t first = batch_.size();
  // What all packets have in common is summed once: their headers without sequence number, lengths, and the flags that
  // only the first or the last carry.
  alignas(8) uint8_t common[sizeof(Ipv6Header) + TcpHeader::kMostBytes];
  std::memcpy(common, headers, header_bytes);
  TcpHeader &common_tcp = *reinterpret_cast<TcpHeader *>(common + transport);
  common_tcp.sequence = 0;
  common_tcp.checksum = 0;
  common_tcp.flags &= static_cast<uint8_t>(~(TcpHeader::kFin | TcpHeader::kPsh | TcpHeader::kCwr));
  const uint16_t common_sum = add_sums(ones_complement_sum({common + transport, header_bytes - transport}),
                                       sum_of_pseudo_header(common, v4, static_cast<uint8_t>(Protocol::tcp), 0));
  uint16_t ip_sum = 0;
  if (v4) {
    Ipv4Header &ip = *reinterpret_cast<Ipv4Header *>(common);
    ip.fragment = Ipv4Header::kDontFragment;
    ip.total_length = 0;
    ip.checksum = 0;
    ip_sum = ones_complement_sum({common, sizeof(Ipv4Header)});
  }
  // Where in the chain the next byte of payload lies.
  const pbuf *part = chain;
  size_t offset = header_bytes;
  uint32_t sequence = large.sequence;
  while (left > 0) {
    const size_t size = std::min(left, segment_size);
    Packet packet = sink_.allocate(header_bytes + size);
    if (!packet) {
      batch_.resize(first);
      return send(Packet(), link);
    }
    uint8_t *bytes = packet.data();
    std::memcpy(bytes, common, header_bytes);
    TcpHeader &header = *reinterpret_cast<TcpHeader *>(bytes + transport);
    header.sequence = sequence;
    uint8_t flags = 0;
    if (left == size) flags |= large.flags & (TcpHeader::kFin | TcpHeader::kPsh);  // lesson: tso-cut-to-size
    if (sequence == large.sequence) flags |= large.flags & TcpHeader::kCwr;
    header.flags |= flags;
    uint16_t sum = common_sum;
    for (size_t done = 0; done < size;) {
      while (offset == part->len) {
        part = part->next;
        offset = 0;
      }
      size_t count = std::min(size - done, part->len - offset);
      uint16_t part_sum =
          copy_and_sum(bytes + header_bytes + done, static_cast<const uint8_t *>(part->payload) + offset, count);
      sum = add_sums(sum, done % 2 ? byte_swap(part_sum) : part_sum);
      done += count;
      offset += count;
    }
    const size_t length = header_bytes - transport + size;
    sum = add_sums(sum, sum_of_word(static_cast<uint16_t>(sequence >> 16)));
    sum = add_sums(sum, sum_of_word(static_cast<uint16_t>(sequence)));
    sum = add_sums(sum, sum_of_word(static_cast<uint16_t>(length)));
    header.checksum = checksum_of(add_sums(sum, sum_of_word(flags)));
    if (v4) {
      Ipv4Header &ip = *reinterpret_cast<Ipv4Header *>(bytes);
      ip.total_length = static_cast<uint16_t>(transport + length);
      ip.checksum = checksum_of(add_sums(ip_sum, sum_of_word(static_cast<uint16_t>(transport + length))));
    } else {
      reinterpret_cast<Ipv6Header *>(bytes)->payload_length = static_cast<uint16_t>(length);
    }
    batch_.push_back(std::move(packet));
    sequence += static_cast<uint32_t>(size);
    left -= size;
  }
  added(first, link);
  return true;
}

// Only datagrams come here: TCP's segments are cut to size.
bool PacketOutput::take_large(const pbuf *chain, uint16_t link, bool dont_fragment) {
  const uint8_t *bytes = static_cast<const uint8_t *>(chain->payload);
  bool v4 = bytes[0] >> 4 == 4;
  size_t transport = v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  if (!chain->next || chain->next->next || chain->len != transport + sizeof(UdpHeader)) {
    counters_.drop(DropReason::message_too_long);
    return false;
  }
  UdpHeader header = *reinterpret_cast<const UdpHeader *>(bytes + transport);
  Bytes payload(static_cast<const uint8_t *>(chain->next->payload), chain->next->len);
  header.checksum = 0;
  uint16_t sum = add_sums(ones_complement_sum(bytes_of(header)), ones_complement_sum(payload));
  uint16_t checksum = checksum_of(
      add_sums(sum, sum_of_pseudo_header(bytes, v4, static_cast<uint8_t>(Protocol::udp), header.length.value())));
  header.checksum = checksum ? checksum : uint16_t{0xffff};
  IpFields fields;
  fields.protocol = static_cast<uint8_t>(Protocol::udp);
  fields.dont_fragment = dont_fragment;
  if (v4) {
    const Ipv4Header &ip = *reinterpret_cast<const Ipv4Header *>(bytes);
    fields.source = ip.source();
    fields.destination = ip.destination();
    fields.ttl = ip.ttl;
    fields.traffic_class = ip.traffic_class;
  } else {
    const Ipv6Header &ip = *reinterpret_cast<const Ipv6Header *>(bytes);
    fields.source = ip.source();
    fields.destination = ip.destination();
    fields.ttl = ip.hop_limit;
    fields.traffic_class = ip.traffic_class();
  }
  return send(fields, bytes_of(header), payload, link);
}

bool PacketOutput::send(IpFields fields, Bytes message, Bytes payload, uint16_t link) {
  size_t first = batch_.size();
  const uint16_t mtu = paths_.mtu_to(link, fields.destination);
  if (fields.header_size() + message.size() + payload.size() > mtu) {
    fields.identification = identification_.next(fields.source, fields.destination);
  }
  if (!make_packets(fields, message, payload, mtu, sink_, counters_, batch_)) return false;
  added(first, link);
  return true;
}

bool PacketOutput::send(Packet packet, uint16_t link) {
  if (!packet) {
    counters_.drop(DropReason::buffers_exhausted);
    return false;
  }
  batch_.push_back(std::move(packet));
  added(batch_.size() - 1, link);
  return true;
}

void PacketOutput::added(size_t first, uint16_t link) {
  for (size_t at = first; at < batch_.size(); at++) batch_[at].link = link;
  if (batch_.size() >= kBatch) flush();
}

void PacketOutput::flush() {
  if (batch_.empty()) return;
  sink_.output(batch_);
  batch_.clear();
}

}  // namespace slipgate
