#include "stack/reassembly.h"

#include <algorithm>
#include <cstring>

#include "wire/ip.h"

namespace slipgate {
namespace {

constexpr size_t kUnit = 8;  // fragments begin at multiples of this, and all but the last end there
constexpr size_t kUnits = (Reassembly::kMostPayloadBytes + kUnit - 1) / kUnit;

// A client that has this many waiting pays for what it opens when the whole table is full; else the oldest of all goes.
// And what it opens beyond them waits for kCrowded only.
constexpr size_t kFairShare = 4;

// Where a fragment's data belongs, and what stood before it.
struct Piece {
  Bytes header;  // IPv4: its header; IPv6: all up to the fragment header, and that one too
  Bytes data;
  size_t offset = 0;
  bool last = false;
  uint32_t identification = 0;
};

// `fragment` was accepted by parse_packet().
Piece piece_of(const LinkPacket &fragment) {
  Bytes packet = fragment.packet.bytes().first(fragment.parsed.length);
  Piece piece;
  piece.header = packet.first(fragment.parsed.transport_offset);
  piece.data = packet.subspan(fragment.parsed.transport_offset);
  if (fragment.parsed.key.is_v4()) {
    const Ipv4Header &ip = *view_as<Ipv4Header>(packet);
    piece.offset = (ip.fragment & Ipv4Header::kOffsetMask) * kUnit;
    piece.last = !(ip.fragment & Ipv4Header::kMoreFragments);
    piece.identification = ip.identification;
  } else {
    const auto &header = *view_as<Ipv6FragmentHeader>(packet.subspan(piece.header.size() - sizeof(Ipv6FragmentHeader)));
    piece.offset = header.offset_and_more & Ipv6FragmentHeader::kOffsetMask;
    piece.last = !(header.offset_and_more & Ipv6FragmentHeader::kMoreFragments);
    piece.identification = header.identification;
  }
  return piece;
}

// Makes the headers of a first fragment those of the whole packet: the last eight bytes of `headers`, IPv6's fragment
// header, fall away. The rest is moved up to the payload; returns its size.
size_t take_fragment_header_out(MutableBytes headers) {
  Ipv6FragmentHeader fragment = *view_as<Ipv6FragmentHeader>(headers.last(sizeof(Ipv6FragmentHeader)));
  size_t kept = headers.size() - sizeof(Ipv6FragmentHeader);
  // The field that says "a fragment header follows".
  size_t field = offsetof(Ipv6Header, next_header);
  size_t position = sizeof(Ipv6Header);
  while (position < kept) {
    field = position;
    position += view_as<Ipv6ExtensionHeader>(headers.subspan(position))->header_length();
  }
  headers[field] = fragment.next_header;
  std::memmove(headers.data() + sizeof(Ipv6FragmentHeader), headers.data(), kept);
  return kept;
}

}  // namespace

// Fragments are of one datagram when these agree (RFC 791; RFC 8200 leaves the protocol out). Clients cannot reach each
// other's.
struct Reassembly::Key {
  FlowKey flow;  // source, destination, link; the identification in place of the ports
  uint32_t client;

  bool operator==(const Key &) const = default;

  static Key of(const LinkPacket &fragment, uint32_t identification) {
    Key key{fragment.parsed.key, fragment.packet.client};
    key.flow.link = fragment.packet.link;
    key.flow.inside.port = static_cast<uint16_t>(identification);
    key.flow.outside.port = static_cast<uint16_t>(identification >> 16);
    if (!key.flow.is_v4()) key.flow.protocol = Protocol::icmpv6;
    return key;
  }
};

class Reassembly::Datagram final : public TimerTarget {
 public:
  explicit Datagram(Reassembly &owner) : timer(*this), owner_(owner) {}
  void on_timer(Timer &, Time) override { owner_.expire(*this); }

  Key key;
  uint64_t hash;
  Packet buffer;  // data() is where the payload begins; null: spoiled, and kept so that what still comes is refused too
  size_t header_size;  // of the first fragment's headers, which lie before the payload; 0: it has not come
  size_t first_size;   // of its data
  size_t received;     // bytes of the payload
  size_t total;        // bytes of the payload, once the last fragment came; else 0
  size_t end;          // of the furthest fragment
  bool congestion;     // a fragment carried Congestion Experienced
  ParsedPacket first;  // of the first fragment
  std::array<uint64_t, (kUnits + 63) / 64> present;  // a bit per unit

  Timer timer;
  Datagram *next_in_bucket;
  Datagram *older;
  Datagram *newer;

 private:
  Reassembly &owner_;
};

Reassembly::Reassembly(const ReassemblyLimits &limits, BufferPool &pool, TimerWheel &timers, Counters &counters,
                       const uint64_t secret[2])
    : limits_{std::max<size_t>(limits.most_datagrams, 1), std::max<size_t>(limits.most_datagrams_per_client, 1)},
      pool_(pool),
      timers_(timers),
      counters_(counters),
      secret_{secret[0], secret[1]} {}

Reassembly::~Reassembly() = default;

Reassembly::Datagram *Reassembly::find(const Key &key, uint64_t hash) const {
  for (Datagram *datagram = by_key_[hash % kBuckets]; datagram; datagram = datagram->next_in_bucket) {
    if (datagram->hash == hash && datagram->key == key) return datagram;
  }
  return nullptr;
}

Reassembly::Datagram *Reassembly::open(const Key &key, uint64_t hash) {
  Datagram *oldest_of_client = nullptr;
  size_t of_client = 0;
  for (Datagram *datagram = oldest_; datagram; datagram = datagram->newer) {
    if (datagram->key.client != key.client) continue;
    if (!oldest_of_client) oldest_of_client = datagram;
    of_client++;
  }
  if (of_client >= limits_.most_datagrams_per_client) {  // lesson: reassembly-bounded
    counters_.drop(DropReason::fragment_limit);
    close(*oldest_of_client);
  } else if (waiting_ >= limits_.most_datagrams) {
    counters_.drop(DropReason::fragment_limit);
    close(of_client >= kFairShare ? *oldest_of_client : *oldest_);
  }

  Packet buffer = pool_.allocate(kMostPayloadBytes, Packet::kHeadroom + kMostHeaderBytes + sizeof(Ipv6FragmentHeader));
  if (!buffer) return nullptr;
  if (!free_) {
    made_.push_back(std::make_unique<Datagram>(*this));
    free_ = made_.back().get();
    free_->newer = nullptr;
  }
  Datagram &datagram = *free_;
  free_ = datagram.newer;
  datagram.key = key;
  datagram.hash = hash;
  datagram.buffer = std::move(buffer);
  datagram.header_size = datagram.first_size = datagram.received = datagram.total = datagram.end = 0;
  datagram.congestion = false;
  datagram.present.fill(0);

  datagram.next_in_bucket = by_key_[hash % kBuckets];
  by_key_[hash % kBuckets] = &datagram;
  datagram.older = newest_;
  datagram.newer = nullptr;
  (newest_ ? newest_->newer : oldest_) = &datagram;
  newest_ = &datagram;
  waiting_++;
  const Duration patience = of_client >= kFairShare ? kCrowded : key.flow.is_v4() ? kTimeoutV4 : kTimeoutV6;
  timers_.arm(datagram.timer, timers_.now() + patience);  // lesson: reassembly-flood-is-forgotten
  return &datagram;
}

void Reassembly::close(Datagram &datagram) {
  datagram.timer.cancel();
  datagram.buffer.reset();
  Datagram **link = &by_key_[datagram.hash % kBuckets];
  while (*link != &datagram) link = &(*link)->next_in_bucket;
  *link = datagram.next_in_bucket;
  (datagram.older ? datagram.older->newer : oldest_) = datagram.newer;
  (datagram.newer ? datagram.newer->older : newest_) = datagram.older;
  datagram.newer = free_;
  free_ = &datagram;
  waiting_--;
}

void Reassembly::expire(Datagram &datagram) {
  counters_.drop(DropReason::fragment_timeout);
  if (datagram.buffer && datagram.header_size > 0 && on_timeout_) {
    const uint8_t *first = datagram.buffer.data() - datagram.header_size;
    on_timeout_(datagram.first.key, datagram.key.client, Bytes(first, datagram.header_size + datagram.first_size));
  }
  close(datagram);
}

// Keeps the entry, without its buffer, until its time is over: "all constituent fragments, including those not yet
// received" are refused (RFC 5722 section 4).
void Reassembly::spoil(Datagram &datagram) {
  datagram.buffer.reset();
}

// Copies the fragment to its place. A reason spoils the datagram.
std::optional<DropReason> Reassembly::place(Datagram &datagram, const LinkPacket &fragment) {
  Piece piece = piece_of(fragment);
  size_t end = piece.offset + piece.data.size();
  if (end > kMostPayloadBytes || piece.data.empty())
    return DropReason::fragment_malformed;  // lesson: fragment-past-64k
  if (!piece.last && piece.data.size() % kUnit != 0) return DropReason::fragment_malformed;
  if (piece.header.size() > kMostHeaderBytes) return DropReason::bad_option;
  // One end, and nothing behind it (RFC 8200 section 4.5).
  bool moves_end = piece.last && datagram.total != 0 && datagram.total != end;
  bool behind_end = datagram.total != 0 ? end > datagram.total : piece.last && datagram.end > end;
  if (moves_end || behind_end) return DropReason::fragment_malformed;  // lesson: fragment-behind-last

  size_t first_unit = piece.offset / kUnit, last_unit = (end - 1) / kUnit, taken = 0;
  for (size_t unit = first_unit; unit <= last_unit; unit++) taken += datagram.present[unit / 64] >> (unit % 64) & 1;
  uint8_t *place = datagram.buffer.data() + piece.offset;
  if (taken > 0) {  // lesson: fragment-overlap-refused
    // The network may send a packet twice (RFC 8200 section 4.5): the same bytes again do no harm.
    bool again = taken == last_unit - first_unit + 1 && std::memcmp(place, piece.data.data(), piece.data.size()) == 0;
    if (!again) return DropReason::fragment_overlap;
    return std::nullopt;
  }
  for (size_t unit = first_unit; unit <= last_unit; unit++) {
    datagram.present[unit / 64] |= uint64_t{1} << (unit % 64);
  }
  std::memcpy(place, piece.data.data(), piece.data.size());
  datagram.received += piece.data.size();
  datagram.end = std::max(datagram.end, end);
  if (piece.last) datagram.total = end;
  if ((fragment.parsed.traffic_class & kEcnMask) == kCongestionExperienced) datagram.congestion = true;
  if (piece.offset == 0) {
    datagram.first = fragment.parsed;
    datagram.first.key.link = fragment.packet.link;
    datagram.header_size = piece.header.size();
    datagram.first_size = piece.data.size();
    std::memcpy(datagram.buffer.data() - piece.header.size(), piece.header.data(), piece.header.size());
  }
  return std::nullopt;
}

// All bytes are there: the headers of the first fragment become those of the whole.
std::optional<LinkPacket> Reassembly::finish(Datagram &datagram) {
  Packet packet = std::move(datagram.buffer);
  bool v4 = datagram.key.flow.is_v4(), congestion = datagram.congestion;
  size_t payload = datagram.total, header = datagram.header_size;
  packet.client = datagram.key.client;
  packet.link = datagram.key.flow.link;
  close(datagram);

  packet.resize(payload);
  if (v4) {
    packet.grow_front(header);
    if (packet.size() > 65535) return counters_.drop(DropReason::fragment_malformed), std::nullopt;
    Ipv4Header &ip = *view_as<Ipv4Header>(packet.mutable_bytes());
    ip.total_length = static_cast<uint16_t>(packet.size());
    ip.fragment = ip.fragment & Ipv4Header::kDontFragment;
    if (congestion) ip.traffic_class |= kCongestionExperienced;
    set_ipv4_checksum(ip);
  } else {
    header = take_fragment_header_out(MutableBytes(packet.data() - header, header));
    packet.grow_front(header);
    if (packet.size() - sizeof(Ipv6Header) > 65535) return counters_.drop(DropReason::fragment_malformed), std::nullopt;
    Ipv6Header &ip = *view_as<Ipv6Header>(packet.mutable_bytes());
    ip.payload_length = static_cast<uint16_t>(packet.size() - sizeof(Ipv6Header));
    if (congestion) ip.version_class_flow = ip.version_class_flow | uint32_t{kCongestionExperienced} << 20;
  }

  std::variant<ParsedPacket, DropReason> parsed = parse_packet(packet.bytes());
  if (DropReason *reason = std::get_if<DropReason>(&parsed)) return counters_.drop(*reason), std::nullopt;
  LinkPacket whole{std::move(packet), std::get<ParsedPacket>(parsed)};
  whole.parsed.key.link = whole.packet.link;
  return whole;
}

std::optional<LinkPacket> Reassembly::add(LinkPacket &&given) {
  LinkPacket fragment = std::move(given);
  Key key = Key::of(fragment, piece_of(fragment).identification);
  uint64_t hash = keyed_hash(key.flow, secret_);
  Datagram *datagram = find(key, hash);
  if (!datagram) datagram = open(key, hash);
  if (!datagram) return counters_.drop(DropReason::buffers_exhausted), std::nullopt;
  if (!datagram->buffer) return counters_.drop(DropReason::fragment_overlap), std::nullopt;
  if (std::optional<DropReason> reason = place(*datagram, fragment)) {
    counters_.drop(*reason);
    spoil(*datagram);
    return std::nullopt;
  }
  if (datagram->total == 0 || datagram->received < datagram->total) return std::nullopt;
  return finish(*datagram);
}

}  // namespace slipgate
