// ICMP and ICMPv6: echo requests from inside and their answers, errors from inside about what we sent, errors that we
// send.
#include <cerrno>

#include "stack/siphash.h"
#include "stack/world.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/udp.h"

namespace slipgate {

void Stack::World::input_icmp(LinkPacket &&packet) {
  const ParsedPacket &parsed = packet.parsed;
  Bytes whole = packet.packet.bytes().first(parsed.length);
  Bytes message = whole.subspan(parsed.transport_offset);
  bool v4 = parsed.key.protocol == Protocol::icmp;
  uint16_t sum = ones_complement_sum(message);
  if (!v4) {
    sum =
        add_sums(sum, pseudo_header_sum(parsed.key.inside.address, parsed.key.outside.address,
                                        static_cast<uint8_t>(Protocol::icmpv6), static_cast<uint32_t>(message.size())));
  }
  const IcmpHeader *header = view_as<IcmpHeader>(message);
  if (!header) {
    counters.drop(DropReason::too_short);
    return;
  }
  if (checksum_of(sum) != 0) {  // lesson: icmp-checksum-verified
    counters.drop(DropReason::bad_checksum);
    return;
  }
  if (header->type == (v4 ? icmp::kEcho : icmpv6::kEchoRequest) && header->code == 0) {
    const IcmpEcho &echo = *view_as<IcmpEcho>(message);
    events.on_echo(parsed.key, packet.packet.client, echo.sequence, message.subspan(sizeof(IcmpEcho)),
                   {.ttl = parsed.ttl, .traffic_class = parsed.traffic_class, .dont_fragment = parsed.dont_fragment},
                   whole);
    return;
  }
  if (v4 ? icmp::is_error(header->type) : icmpv6::is_error(header->type)) {
    icmp_error_from_inside(packet, message);
    return;
  }
  counters.drop(DropReason::icmp_ignored);
}

// The quoted packet is one that we sent, or somebody made it up: what matters is what its header says, and whether we
// know the flow. Routers may quote no more than 8 bytes of the transport header.
void Stack::World::icmp_error_from_inside(const LinkPacket &packet, Bytes message) {
  const IcmpHeader &header = *view_as<IcmpHeader>(message);
  Bytes quoted = message.subspan(sizeof(IcmpHeader));
  bool v4 = packet.parsed.key.is_v4();
  FlowKey key;
  key.link = packet.parsed.key.link;
  uint8_t protocol = 0;
  if (v4) {
    const Ipv4Header *ip = view_as<Ipv4Header>(quoted);
    if (!ip || ip->version() != 4 || ip->header_length() < sizeof(Ipv4Header) ||
        quoted.size() < ip->header_length() + 8 || ip->fragment & Ipv4Header::kOffsetMask) {
      counters.drop(DropReason::icmp_ignored);
      return;
    }
    key.outside.address = ip->source();
    key.inside.address = ip->destination();
    protocol = ip->protocol;
    quoted = quoted.subspan(ip->header_length());
  } else {
    const Ipv6Header *ip = view_as<Ipv6Header>(quoted);
    if (!ip || ip->version() != 6) {
      counters.drop(DropReason::icmp_ignored);
      return;
    }
    key.outside.address = ip->source();
    key.inside.address = ip->destination();
    protocol = ip->next_header;
    quoted = quoted.subspan(sizeof(Ipv6Header));
    if (const Ipv6FragmentHeader *fragment = view_as<Ipv6FragmentHeader>(quoted);
        fragment && protocol == ipv6_next_header::kFragment &&
        (fragment->offset_and_more & Ipv6FragmentHeader::kOffsetMask) == 0) {
      protocol = fragment->next_header;
      quoted = quoted.subspan(sizeof(Ipv6FragmentHeader));
    }
    if (quoted.size() < 8) {
      counters.drop(DropReason::icmp_ignored);
      return;
    }
  }
  key.protocol = static_cast<Protocol>(protocol);
  const UdpHeader &ports = *view_as<UdpHeader>(quoted);  // TCP's are in the same place
  uint32_t mtu = v4 ? header.rest & 0xffff : header.rest.value();
  if (key.protocol == Protocol::udp || key.protocol == Protocol::tcp) {
    key.outside.port = ports.source_port;
    key.inside.port = ports.destination_port;
  }
  if (key.protocol == Protocol::tcp) {
    // An opening connection fails; an established one is left to its own timers (RFC 5927 section 4), but hears of a
    // path that is too narrow for what it has in flight (section 7).
    TcpEntry *entry = table.find(key);
    if (entry && entry->client != packet.packet.client) entry = nullptr;  // lesson: icmp-error-of-its-own-client
    uint32_t sequence = view_as<be32>(quoted.subspan(4))->value();
    bool too_big = v4 ? header.type == icmp::kDestinationUnreachable && header.code == icmp::kFragmentationNeeded
                      : header.type == icmpv6::kPacketTooBig;
    bool unreachable =
        !too_big && header.type == (v4 ? icmp::kDestinationUnreachable : icmpv6::kDestinationUnreachable);
    if (entry && entry->kind == TcpEntry::Kind::connection) {
      Connection &connection = static_cast<Connection &>(*entry);
      if (too_big && connection.has_outstanding(sequence)) {  // lesson: tcp-path-mtu-of-a-segment-in-flight
        paths.learn(key.link, key.inside.address, mtu);
        connection.fit_path(paths.mtu_to(key.link, key.inside.address));
        return;
      }
      if (unreachable && connection.awaits_answer_to(sequence)) {
        bool refused = header.code == (v4 ? icmp::kPortUnreachable : icmpv6::kPortUnreachable);
        connection.fail(refused ? ECONNREFUSED : EHOSTUNREACH);
        return;
      }
    }
    counters.drop(DropReason::icmp_ignored);
    return;
  }
  if (key.protocol == Protocol::icmp || key.protocol == Protocol::icmpv6) {
    const IcmpEcho &echo = *view_as<IcmpEcho>(quoted);
    if (echo.type != (v4 ? icmp::kEchoReply : icmpv6::kEchoReply)) {
      counters.drop(DropReason::icmp_ignored);
      return;
    }
    key.inside.port = echo.identifier;
  } else if (key.protocol != Protocol::udp) {
    counters.drop(DropReason::icmp_ignored);
    return;
  }
  events.on_icmp_error(key, packet.packet.client, header.type, header.code, mtu);
}

bool Stack::World::send_echo_reply(const FlowKey &key, uint16_t sequence, Bytes payload, const DatagramInfo &info) {
  bool v4 = key.is_v4();
  IpFields fields;
  fields.source = key.outside.address;
  fields.destination = key.inside.address;
  fields.protocol = static_cast<uint8_t>(v4 ? Protocol::icmp : Protocol::icmpv6);
  fields.ttl = info.ttl;
  fields.traffic_class = info.traffic_class;
  fields.dont_fragment = info.dont_fragment;
  IcmpEcho echo{};
  echo.type = v4 ? icmp::kEchoReply : icmpv6::kEchoReply;
  echo.identifier = key.inside.port;
  echo.sequence = sequence;
  uint16_t sum = add_sums(ones_complement_sum(bytes_of(echo)), ones_complement_sum(payload));
  if (!v4) {
    sum = add_sums(sum, pseudo_header_sum(fields.source, fields.destination, fields.protocol,
                                          static_cast<uint32_t>(sizeof(echo) + payload.size())));
  }
  echo.checksum = checksum_of(sum);
  pending();
  return output.send(fields, bytes_of(echo), payload, key.link);
}

bool Stack::World::send_icmp_error(const FlowKey &key, Bytes original, const IpAddress &from, uint8_t type,
                                   uint8_t code, uint32_t info32, uint8_t ttl) {
  if (!may_answer_with_icmp_error(original, type)) return false;
  // A client is who has the address: also where one peer stands for a whole network.
  uint32_t receiver = static_cast<uint32_t>(siphash(config.secret, key.inside.address.v6_bytes()));
  if (!icmp_limiter_.allow(receiver, timers.now())) return false;  // lesson: icmp-errors-limited
  pending();
  return output.send(make_icmp_error(original, from, type, code, info32, output.sink(), ttl), key.link);
}

}  // namespace slipgate
