#include "wire/ip.h"

#include <cstring>

namespace slipgate {

void write_ip_header(uint8_t *at, const IpFields &fields, size_t payload_size, uint16_t fragment) {
  Bytes source = fields.source.family_bytes(), destination = fields.destination.family_bytes();
  if (fields.is_v4()) {
    auto &header = *reinterpret_cast<Ipv4Header *>(at);
    header.version_and_length = 0x45;
    header.traffic_class = fields.traffic_class;
    header.total_length = static_cast<uint16_t>(sizeof(Ipv4Header) + payload_size);
    header.identification = static_cast<uint16_t>(fields.identification);
    header.fragment = static_cast<uint16_t>(fragment | (fields.dont_fragment ? Ipv4Header::kDontFragment : 0));
    header.ttl = fields.ttl;
    header.protocol = fields.protocol;
    std::memcpy(header.source_bytes, source.data(), 4);
    std::memcpy(header.destination_bytes, destination.data(), 4);
    set_ipv4_checksum(header);
  } else {
    auto &header = *reinterpret_cast<Ipv6Header *>(at);
    header.version_class_flow = 6u << 28 | uint32_t{fields.traffic_class} << 20;
    header.payload_length = static_cast<uint16_t>(payload_size);
    header.next_header = fields.protocol;
    header.hop_limit = fields.ttl;
    std::memcpy(header.source_bytes, source.data(), 16);
    std::memcpy(header.destination_bytes, destination.data(), 16);
  }
}

void set_ipv4_checksum(Ipv4Header &header) {
  header.checksum = 0;
  Bytes whole(reinterpret_cast<const uint8_t *>(&header), header.header_length());
  header.checksum = checksum_of(ones_complement_sum(whole));
}

}  // namespace slipgate
