#include "link/segments.h"

#include <algorithm>
#include <cstring>

#include "wire/checksum.h"
#include "wire/flow_key.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace slipgate {
namespace {

constexpr uint8_t kTcpNumber = static_cast<uint8_t>(Protocol::tcp);
constexpr uint8_t kUdpNumber = static_cast<uint8_t>(Protocol::udp);

// A sum's word for a number, in memory order.
uint16_t word_of(size_t number) {
  uint16_t word;
  const be16 wire(static_cast<uint16_t>(number));
  std::memcpy(&word, &wire, sizeof(word));
  return word;
}

// Both addresses and the protocol; the length of what the checksum covers is added for each segment.
uint16_t address_sum(const uint8_t *ip, bool v4, uint8_t protocol) {
  const Bytes addresses = v4 ? Bytes(ip + 12, 8) : Bytes(ip + 8, 32);
  return add_sums(ones_complement_sum(addresses), word_of(protocol));
}

void set_length(uint8_t *ip, bool v4, size_t length) {
  if (v4) {
    reinterpret_cast<Ipv4Header *>(ip)->total_length = static_cast<uint16_t>(length);
  } else {
    reinterpret_cast<Ipv6Header *>(ip)->payload_length = static_cast<uint16_t>(length - sizeof(Ipv6Header));
  }
}

// UDP: a sum of zero is sent as its other form, because zero says that there is none (RFC 768).
uint16_t udp_checksum_of(uint16_t sum) {
  const uint16_t checksum = checksum_of(sum);
  return checksum ? checksum : uint16_t{0xffff};
}

std::optional<DropReason> copy_whole(const VirtioNetHeader &header, Bytes packet, PacketSource &source,
                                     std::vector<Packet> &to) {
  Packet copy = source.allocate(packet.size());
  if (!copy) return DropReason::buffers_exhausted;
  if (header.flags & VirtioNetHeader::kNeedsChecksum) {
    const size_t start = header.checksum_start, field = start + header.checksum_offset;
    if (field + sizeof(uint16_t) > packet.size()) return DropReason::bad_header;
    std::memcpy(copy.data(), packet.data(), start);
    const uint16_t sum = copy_and_sum(copy.data() + start, packet.data() + start, packet.size() - start);
    const bool udp = header.checksum_offset == offsetof(UdpHeader, checksum);
    const uint16_t checksum = udp ? udp_checksum_of(sum) : checksum_of(sum);
    std::memcpy(copy.data() + field, &checksum, sizeof(checksum));
  } else {
    std::memcpy(copy.data(), packet.data(), packet.size());
  }
  to.push_back(std::move(copy));
  return std::nullopt;
}

}  // namespace

// --- cutting ---

std::optional<DropReason> cut_packet(const VirtioNetHeader &header, Bytes packet, PacketSource &source,
                                     std::vector<Packet> &to) {
  const uint8_t kind = header.segmentation & static_cast<uint8_t>(~VirtioNetHeader::kEcn);
  if (kind == VirtioNetHeader::kWhole) return copy_whole(header, packet, source, to);

  // The kernel's own words, but of a packet that anybody may have injected: looked at as if it came from outside.
  const bool tcp = kind == VirtioNetHeader::kTcp4 || kind == VirtioNetHeader::kTcp6;
  if (!tcp && kind != VirtioNetHeader::kUdp) return DropReason::bad_header;
  if (packet.size() < sizeof(Ipv4Header)) return DropReason::too_short;
  const bool v4 = packet[0] >> 4 == 4;
  const size_t ip_header = v4 ? view_as<Ipv4Header>(packet)->header_length() : sizeof(Ipv6Header);
  const size_t transport = header.checksum_start;  // behind options and extension headers
  const size_t least = tcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
  if (ip_header < sizeof(Ipv4Header) || transport < ip_header || transport + least > packet.size()) {
    return DropReason::too_short;
  }
  const size_t headers =
      transport + (tcp ? view_as<TcpHeader>(packet.subspan(transport))->header_length() : sizeof(UdpHeader));
  const size_t segment = header.segment_size;
  if (headers < transport + least || headers > packet.size() || segment == 0) return DropReason::bad_header;

  const uint16_t addresses = address_sum(packet.data(), v4, tcp ? kTcpNumber : kUdpNumber);
  size_t number = 0;
  for (size_t offset = headers; offset < packet.size() || number == 0; offset += segment, number++) {
    const size_t part = std::min(segment, packet.size() - offset);
    Packet piece = source.allocate(headers + part);
    if (!piece) return DropReason::buffers_exhausted;
    uint8_t *ip = piece.data();
    std::memcpy(ip, packet.data(), headers);
    const uint16_t payload_sum = copy_and_sum(ip + headers, packet.data() + offset, part);
    set_length(ip, v4, headers + part);
    if (v4) {
      auto &head = *reinterpret_cast<Ipv4Header *>(ip);
      head.identification = static_cast<uint16_t>(head.identification + number);
      set_ipv4_checksum(head);
    }
    const size_t covered = headers - transport + part;
    uint16_t sum = add_sums(add_sums(addresses, word_of(covered)), payload_sum);
    if (tcp) {
      auto &head = *reinterpret_cast<TcpHeader *>(ip + transport);
      head.sequence = head.sequence + static_cast<uint32_t>(offset - headers);
      // What says something about the end of the data belongs to the last one, what answers an ECN mark to the first.
      if (offset + part < packet.size()) head.flags &= static_cast<uint8_t>(~(TcpHeader::kFin | TcpHeader::kPsh));
      if (number > 0) head.flags &= static_cast<uint8_t>(~TcpHeader::kCwr);
      head.checksum = 0;
      sum = add_sums(sum, ones_complement_sum({ip + transport, headers - transport}));
      head.checksum = checksum_of(sum);
    } else {
      auto &head = *reinterpret_cast<UdpHeader *>(ip + transport);
      head.length = static_cast<uint16_t>(covered);
      head.checksum = 0;
      sum = add_sums(sum, ones_complement_sum(bytes_of(head)));
      head.checksum = udp_checksum_of(sum);
    }
    to.push_back(std::move(piece));
  }
  return std::nullopt;
}

// --- joining ---

namespace {

uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t size) {
  // Only to tell few flows of a batch apart: equal hashes are compared in full.
  for (; size >= 8; bytes += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, bytes, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  uint32_t last = 0;
  std::memcpy(&last, bytes, size);  // ports: 4 bytes
  hash = (hash ^ last) * 0x9e3779b97f4a7c15;
  return hash ^ hash >> 32;
}

bool checksum_is_right(const uint8_t *ip, bool v4, uint8_t protocol, size_t transport, size_t length) {
  if (v4 && ones_complement_sum({ip, transport}) != 0xffff) return false;
  const uint16_t sum = add_sums(add_sums(address_sum(ip, v4, protocol), word_of(length - transport)),
                                ones_complement_sum({ip + transport, length - transport}));
  return checksum_of(sum) == 0;
}

bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to) {
  return std::memcmp(a + from, b + from, to - from) == 0;
}

}  // namespace

PacketJoiner::PacketJoiner(JoinedPackets &to, bool join_udp) : to_(to), join_udp_(join_udp), runs_(kRuns) {}

PacketJoiner::Parsed PacketJoiner::parse(MutableBytes packet) const {
  Parsed parsed;
  const uint8_t *bytes = packet.data();
  const Bytes whole(packet);
  bool v4 = false;
  if (const auto *head = view_as<Ipv4Header>(whole); head && head->version() == 4) {
    v4 = true;
    parsed.protocol = head->protocol;
    parsed.transport = head->header_length();
    parsed.length = head->total_length;
    const uint16_t fragment = head->fragment;
    if (head->header_length() != sizeof(Ipv4Header)) return parsed;  // lesson: tun-join-no-ip-options
    if (fragment & (Ipv4Header::kMoreFragments | Ipv4Header::kOffsetMask))
      return parsed;  // lesson: tun-join-no-fragments
  } else if (const auto *head6 = view_as<Ipv6Header>(whole); head6 && head6->version() == 6) {
    parsed.protocol = head6->next_header;
    parsed.transport = sizeof(Ipv6Header);
    parsed.length = sizeof(Ipv6Header) + head6->payload_length;
  } else {
    return parsed;
  }
  if (parsed.length > packet.size() || parsed.length < parsed.transport + sizeof(UdpHeader)) return parsed;
  const Bytes segment = whole.subspan(parsed.transport, parsed.length - parsed.transport);
  if (parsed.protocol == kTcpNumber) {
    const auto *tcp = view_as<TcpHeader>(segment);
    if (!tcp || tcp->header_length() < sizeof(TcpHeader) || tcp->header_length() > segment.size()) return parsed;
    parsed.headers = parsed.transport + tcp->header_length();
    parsed.sequence = tcp->sequence;
    parsed.ends_run = tcp->flags & TcpHeader::kPsh;  // lesson: tun-join-push-ends
    parsed.joinable = (tcp->flags & ~TcpHeader::kPsh) == TcpHeader::kAck && parsed.headers < parsed.length;
  } else if (parsed.protocol == kUdpNumber) {
    const auto *udp = view_as<UdpHeader>(segment);
    parsed.headers = parsed.transport + sizeof(UdpHeader);
    parsed.joinable =
        join_udp_ && udp->length == segment.size() && udp->checksum != 0 && parsed.headers < parsed.length;
  } else {
    return parsed;
  }
  parsed.has_flow = true;
  const size_t addresses = v4 ? 12 : 8;
  parsed.hash = mix(mix(parsed.protocol, bytes + addresses, parsed.transport - addresses), bytes + parsed.transport, 4);
  return parsed;
}

void PacketJoiner::add(MutableBytes packet) {
  const Parsed parsed = parse(packet);
  if (!parsed.has_flow) return write_alone(packet.data(), packet.size());
  for (size_t i = 0; i < open_; i++) {
    Run &run = runs_[i];
    if (run.first.hash != parsed.hash) continue;
    if (parsed.joinable && join(run, parsed, packet.data())) {
      const bool full = run.count == run.pieces.size();
      if (parsed.ends_run || parsed.length - parsed.headers < run.segment || full) write_run(i);
      return;
    }
    // Of this flow, most likely: what came before goes first.
    write_run(i);
    break;
  }
  if (parsed.joinable && !parsed.ends_run) return begin(parsed, packet.data());
  write_alone(packet.data(), parsed.length);
}

void PacketJoiner::begin(const Parsed &parsed, uint8_t *bytes) {
  if (open_ == kRuns) write_run(0);
  Run &run = runs_[open_++];
  run.first = parsed;
  run.bytes = bytes;
  run.payload = run.segment = parsed.length - parsed.headers;
  run.next_sequence = parsed.sequence + static_cast<uint32_t>(run.payload);
  run.verified = false;
  run.pieces[1] = {bytes, parsed.length};
  run.count = 2;
}

// Puts the packet's payload behind the run's, if it may be.
bool PacketJoiner::join(Run &run, const Parsed &parsed, uint8_t *bytes) {
  const Parsed &first = run.first;
  const size_t payload = parsed.length - parsed.headers;
  if (parsed.protocol != first.protocol || parsed.transport != first.transport || parsed.headers != first.headers)
    return false;
  if (payload > run.segment || first.headers + run.payload + payload > kMostBytes) return false;
  const bool v4 = bytes[0] >> 4 == 4, tcp = parsed.protocol == kTcpNumber;
  // All of the IP header but lengths, IPv4's identification and checksum, which differ; then the ports.
  const bool same_ip = v4 ? same(run.bytes, bytes, 0, 2) &&
                                same(run.bytes, bytes, 6, 10) &&  // lesson: tun-join-same-ttl
                                same(run.bytes, bytes, 12, 24)
                          : same(run.bytes, bytes, 0, 4) && same(run.bytes, bytes, 6, 44);
  if (!same_ip) return false;
  if (tcp) {
    if (parsed.sequence != run.next_sequence) return false;
    if (!same(run.bytes, bytes, first.transport + sizeof(TcpHeader), first.headers)) return false;
  }
  if (!run.verified) {
    if (!checksum_is_right(run.bytes, v4, first.protocol, first.transport, first.length)) return false;
    run.verified = true;
  }
  // lesson: tun-join-checksum-verified
  if (!checksum_is_right(bytes, v4, parsed.protocol, parsed.transport, parsed.length)) return false;
  if (tcp) {
    auto &into = *reinterpret_cast<TcpHeader *>(run.bytes + first.transport);
    const auto &from = *reinterpret_cast<const TcpHeader *>(bytes + parsed.transport);
    if (sequence_before(from.acknowledgment, into.acknowledgment)) return false;
    into.acknowledgment = from.acknowledgment;
    into.window = from.window;
    into.flags |= from.flags;
    run.next_sequence += static_cast<uint32_t>(payload);
  }
  run.payload += payload;
  run.pieces[run.count++] = {bytes + parsed.headers, payload};
  return true;
}

void PacketJoiner::write_alone(uint8_t *bytes, size_t size) {
  VirtioNetHeader none{};  // the kernel verifies its checksums
  const iovec pieces[] = {{&none, sizeof(none)}, {bytes, size}};
  to_.write(pieces);
}

void PacketJoiner::write_run(size_t index) {
  Run &run = runs_[index];
  const Parsed &first = run.first;
  if (run.count == 2) {
    write_alone(run.bytes, first.length);
  } else {
    const bool v4 = run.bytes[0] >> 4 == 4, tcp = first.protocol == kTcpNumber;
    const size_t length = first.headers + run.payload;
    set_length(run.bytes, v4, length);
    if (v4) set_ipv4_checksum(*reinterpret_cast<Ipv4Header *>(run.bytes));
    const uint16_t sum = add_sums(address_sum(run.bytes, v4, first.protocol), word_of(length - first.transport));
    size_t field;
    if (tcp) {
      field = offsetof(TcpHeader, checksum);
    } else {
      field = offsetof(UdpHeader, checksum);
      reinterpret_cast<UdpHeader *>(run.bytes + first.transport)->length =
          static_cast<uint16_t>(length - first.transport);
    }
    std::memcpy(run.bytes + first.transport + field, &sum, sizeof(sum));
    VirtioNetHeader &header = run.header;
    header.flags = VirtioNetHeader::kNeedsChecksum;
    header.segmentation = !tcp ? VirtioNetHeader::kUdp : v4 ? VirtioNetHeader::kTcp4 : VirtioNetHeader::kTcp6;
    header.header_length = static_cast<uint16_t>(first.headers);
    header.segment_size = static_cast<uint16_t>(run.segment);
    header.checksum_start = static_cast<uint16_t>(first.transport);
    header.checksum_offset = static_cast<uint16_t>(field);
    run.pieces[0] = {&header, sizeof(header)};
    to_.write({run.pieces.data(), run.count});
  }
  if (index != --open_) run = runs_[open_];
}

void PacketJoiner::flush() {
  while (open_ > 0) write_run(open_ - 1);  // the last: nothing needs to move
}

}  // namespace slipgate
