// Datagrams: from inside through lwIP's one UDP PCB, whose port is set for each, to StackEvents; and back.
#include <access.h>

#include <algorithm>

#include "stack/world.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/udp.h"

namespace slipgate {

void Stack::World::input_udp(LinkPacket &&packet) {
  const ParsedPacket parsed = packet.parsed;
  Bytes whole = packet.packet.bytes().first(parsed.length);
  Bytes transport = whole.subspan(parsed.transport_offset);
  const UdpHeader &header = *view_as<UdpHeader>(transport);
  if (header.length < sizeof(UdpHeader) || header.length > transport.size()) {  // lesson: udp-length-within-packet
    counters.drop(DropReason::bad_header);
    return;
  }
  transport = transport.first(header.length);
  if (header.checksum == 0) {
    if (!parsed.key.is_v4()) {  // RFC 8200 section 8.1; lesson: udp-v6-needs-checksum
      counters.drop(DropReason::bad_checksum);
      return;
    }
  } else if (!packet.packet.authentic) {
    uint16_t sum = add_sums(ones_complement_sum(transport),
                            pseudo_header_sum(parsed.key.inside.address, parsed.key.outside.address,
                                              static_cast<uint8_t>(Protocol::udp), header.length.value()));
    if (checksum_of(sum) != 0) {  // lesson: udp-checksum-verified
      counters.drop(DropReason::bad_checksum);
      return;
    }
  }
  if (parsed.key.outside.port == 0) {
    counters.drop(DropReason::bad_destination);
    return;
  }
  pbuf_custom custom{};
  custom.custom_free_function = [](pbuf *) {};
  uint8_t *bytes = packet.packet.data() + parsed.transport_offset;
  pbuf *datagram = pbuf_alloced_custom(PBUF_RAW, header.length, PBUF_REF, &custom, bytes, header.length);
  pbuf *received = nullptr;
  {
    LwipScope scope(*this, parsed.key.link);
    ip_addr_t from = to_lwip(parsed.key.inside.address);
    ip_addr_t to = to_lwip(parsed.key.outside.address);
    received = access_udp_input(datagram, &from, &to, parsed.key.outside.port);
  }
  if (!received) {
    counters.drop(DropReason::stack_refused);
    return;
  }
  Bytes payload(static_cast<const uint8_t *>(received->payload), received->len);
  pbuf_free(received);
  events.on_datagram(parsed.key, packet.packet.client, payload,
                     {.ttl = parsed.ttl, .traffic_class = parsed.traffic_class, .dont_fragment = parsed.dont_fragment},
                     whole);
}

bool Stack::World::send_datagram(const FlowKey &key, Bytes payload, const DatagramInfo &info) {
  if (payload.size() > (key.is_v4() ? kMostUdpPayloadV4 : kMostUdpPayloadV6)) {
    counters.drop(DropReason::message_too_long);
    return false;
  }
  // RFC 768: who sends from port 0 wants no answer.
  if (key.inside.port == 0 || key.outside.port == 0) {
    counters.drop(DropReason::bad_destination);
    return false;
  }
  // lwIP counts all headers and the payload in 16 bits: IPv6's longest datagrams would not fit.
  if (!key.is_v4() && payload.size() + sizeof(UdpHeader) + sizeof(Ipv6Header) > 0xffff) {
    return send_longest_datagram(key, payload, info);
  }
  pbuf_custom custom{};
  custom.custom_free_function = [](pbuf *) {};
  // lwIP does not write to it.
  uint8_t *bytes = const_cast<uint8_t *>(payload.data());
  u16_t size = static_cast<u16_t>(payload.size());
  pbuf *datagram = pbuf_alloced_custom(PBUF_RAW, size, PBUF_REF, &custom, bytes, size);
  ip_addr_t from = to_lwip(key.outside.address);
  ip_addr_t to = to_lwip(key.inside.address);
  LwipScope scope(*this, key.link, info.dont_fragment);
  access_udp_send(datagram, &from, key.outside.port, &to, key.inside.port, info.ttl, info.traffic_class);
  pbuf_free(datagram);
  return !scope.failed();
}

bool Stack::World::send_longest_datagram(const FlowKey &key, Bytes payload, const DatagramInfo &info) {
  IpFields fields{.source = key.outside.address,
                  .destination = key.inside.address,
                  .protocol = static_cast<uint8_t>(Protocol::udp),
                  .ttl = info.ttl,
                  .traffic_class = info.traffic_class,
                  .dont_fragment = info.dont_fragment};
  UdpHeader header;
  header.source_port = key.outside.port;
  header.destination_port = key.inside.port;
  header.length = static_cast<uint16_t>(sizeof(UdpHeader) + payload.size());
  header.checksum = 0;
  uint16_t sum = add_sums(add_sums(ones_complement_sum(bytes_of(header)), ones_complement_sum(payload)),
                          pseudo_header_sum(fields.source, fields.destination, fields.protocol, header.length.value()));
  uint16_t checksum = checksum_of(sum);
  header.checksum = checksum ? checksum : uint16_t{0xffff};
  pending();
  return output.send(fields, bytes_of(header), payload, key.link);
}

}  // namespace slipgate
