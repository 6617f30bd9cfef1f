// Segments from inside: checked, merged, and handed to whom they belong.
//
// Segments of one connection that follow each other in a batch go to lwIP as one (generic receive offload): the gain is
// less in lwIP than in the acknowledgments that need not be built, sealed and sent. They are merged only when nobody
// could tell the difference: same connection, next in sequence, no flags but ACK and PSH, no options of IP or TCP, same
// TTL and traffic class; a PSH or a shorter segment ends the run. Each segment's checksum is verified before, unless
// the link proved the whole packet authentic.
#include <access.h>

#include "stack/world.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

namespace slipgate {
namespace {

// lwIP counts the bytes of a chain in 16 bits; headers and a FIN must fit, too.
constexpr size_t kMostMerged = 65000;

const TcpHeader &tcp_header(const LinkPacket &packet) {
  return *view_as<TcpHeader>(packet.packet.bytes().subspan(packet.parsed.transport_offset));
}

bool nobody(const IpAddress &address) {
  return address.is_unspecified() || address.is_multicast() || address.is_broadcast();
}

}  // namespace

void Stack::World::input_tcp(LinkPacket &&packet) {
  const ParsedPacket &parsed = packet.parsed;
  Bytes segment = packet.packet.bytes().subspan(parsed.transport_offset, parsed.length - parsed.transport_offset);
  if (!packet.packet.authentic) {  // lesson: stack-authentic-not-summed
    uint16_t sum =
        add_sums(ones_complement_sum(segment),
                 pseudo_header_sum(parsed.key.inside.address, parsed.key.outside.address,
                                   static_cast<uint8_t>(Protocol::tcp), static_cast<uint32_t>(segment.size())));
    if (checksum_of(sum) != 0) {  // lesson: tcp-checksum-verified
      counters.drop(DropReason::bad_checksum);
      return;
    }
  }
  counters.tcp_segments++;
  if (run_.connection && run_.connection->key == parsed.key && join_run(packet)) {
    counters.tcp_segments_merged++;
    return;
  }
  finish_run();
  TcpEntry *entry = table.find(parsed.key);
  if (!entry) {
    input_no_connection(std::move(packet));
  } else if (entry->kind == TcpEntry::Kind::request) {
    input_to_request(static_cast<HeldSyn &>(*entry), packet);
  } else {
    Connection &connection = static_cast<Connection &>(*entry);
    connection.prefetch_pcb();
    input_to_connection(connection, std::move(packet));
  }
}

// The packet's payload behind the run's, if it may be.
bool Stack::World::join_run(LinkPacket &packet) {
  const ParsedPacket &parsed = packet.parsed;
  const TcpHeader &header = tcp_header(packet);
  if (!may_merge(packet)) return false;
  size_t payload_offset = parsed.transport_offset + sizeof(TcpHeader);
  size_t payload = parsed.length - payload_offset;
  if (header.sequence.value() != run_.next_sequence) return false;
  if (parsed.ttl != run_.ttl || parsed.traffic_class != run_.traffic_class)
    return false;  // lesson: gro-same-ttl-and-tos
  if (payload > run_.segment_size || run_.size + payload > kMostMerged) return false;
  TcpHeader &merged = *reinterpret_cast<TcpHeader *>(run_.first->payload);
  if (sequence_before(header.acknowledgment, merged.acknowledgment)) return false;
  merged.acknowledgment = header.acknowledgment;
  merged.window = header.window;
  merged.flags |= header.flags & TcpHeader::kPsh;
  bool last = (header.flags & TcpHeader::kPsh) || payload < run_.segment_size;  // lesson: gro-push-ends-a-run
  pbuf *part = pbufs.lend(std::move(packet.packet), payload_offset, payload);
  run_.last->next = part;
  run_.last = part;
  run_.size += payload;
  run_.next_sequence += static_cast<uint32_t>(payload);
  if (last) finish_run();
  return true;
}

bool Stack::World::may_merge(const LinkPacket &packet) {
  const TcpHeader &header = tcp_header(packet);
  if (packet.parsed.has_ip_options) return false;  // lesson: gro-no-ip-options
  if (header.header_length() != sizeof(TcpHeader)) return false;
  if ((header.flags & ~TcpHeader::kPsh) != TcpHeader::kAck) return false;  // lesson: gro-no-fin
  return packet.parsed.length > packet.parsed.transport_offset + sizeof(TcpHeader);
}

void Stack::World::finish_run() {
  if (!run_.connection) return;
  // Every pbuf of a chain says how much is in it and behind it.
  u16_t total = static_cast<u16_t>(sizeof(TcpHeader) + run_.size);
  for (pbuf *part = run_.first; part; part = part->next) {
    part->tot_len = total;
    total = static_cast<u16_t>(total - part->len);
  }
  Connection &connection = *run_.connection;
  pbuf *segment = run_.first;
  const uint8_t traffic_class = run_.traffic_class;
  run_ = {};
  connection.input(segment, traffic_class);
}

void Stack::World::input_to_connection(Connection &connection, LinkPacket &&packet) {
  const TcpHeader &header = tcp_header(packet);
  if (connection.in_time_wait() &&
      (header.flags & (TcpHeader::kSyn | TcpHeader::kAck | TcpHeader::kRst)) == TcpHeader::kSyn) {
    // A new connection from a port that was used a moment ago: as kernels do, let it in.
    connection.end_time_wait();
    input_no_connection(std::move(packet));
    return;
  }
  const ParsedPacket &parsed = packet.parsed;
  size_t size = parsed.length - parsed.transport_offset;
  if (may_merge(packet) && !(header.flags & TcpHeader::kPsh)) {
    run_.connection = &connection;
    run_.next_sequence = header.sequence + static_cast<uint32_t>(size - sizeof(TcpHeader));
    run_.size = run_.segment_size = size - sizeof(TcpHeader);
    run_.ttl = parsed.ttl;
    run_.traffic_class = parsed.traffic_class;
    run_.first = run_.last = pbufs.lend(std::move(packet.packet), parsed.transport_offset, size);
    return;
  }
  connection.input(pbufs.lend(std::move(packet.packet), parsed.transport_offset, size), parsed.traffic_class);
}

void Stack::World::input_to_request(HeldSyn &syn, const LinkPacket &packet) {
  const TcpHeader &header = tcp_header(packet);
  if (header.flags & TcpHeader::kRst) {
    if (syn.reset_is_acceptable(header.sequence)) {
      cancel(syn);
    } else {
      counters.drop(DropReason::no_connection);
    }
  } else if ((header.flags & (TcpHeader::kSyn | TcpHeader::kAck | TcpHeader::kFin)) == TcpHeader::kSyn) {
    counters.drop(DropReason::duplicate_syn);
    syn.replace(packet);
  } else {
    counters.drop(DropReason::no_connection);
  }
}

void Stack::World::input_no_connection(LinkPacket &&packet) {
  const FlowKey key = packet.parsed.key;
  uint8_t flags = tcp_header(packet).flags;
  if (nobody(key.inside.address) || key.inside.port == 0) {  // lesson: tcp-syn-from-broadcast
    counters.drop(DropReason::bad_source);
    return;
  }
  if (nobody(key.outside.address) || key.outside.port == 0) {  // lesson: tcp-syn-to-port-zero
    counters.drop(DropReason::bad_destination);
    return;
  }
  if (flags & TcpHeader::kRst) {
    counters.drop(DropReason::no_connection);
    return;
  }
  if (flags & TcpHeader::kSyn && !(flags & TcpHeader::kAck)) {
    if (flags & TcpHeader::kFin) {
      counters.drop(DropReason::bad_header);
    } else {
      hold_syn(packet);
    }
    return;
  }
  counters.drop(DropReason::no_connection);
  size_t offset = packet.parsed.transport_offset;
  size_t size = packet.parsed.length - offset;
  reset_segment(key, pbufs.lend(std::move(packet.packet), offset, size));
}

void Stack::World::reset_segment(const FlowKey &key, pbuf *segment) {
  LwipScope scope(*this, key.link);
  ip_addr_t from = to_lwip(key.inside.address);
  ip_addr_t to = to_lwip(key.outside.address);
  access_tcp_input(segment, &from, &to);
}

}  // namespace slipgate
