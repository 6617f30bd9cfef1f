// The header that a TUN or TAP device with IFF_VNET_HDR puts before every packet, both ways (virtio 1.2 section 5.1.6,
// the legacy layout, little endian): what a network card would still have to do for it.
#pragma once

#include <cstdint>

#include "base/endian.h"

namespace slipgate {

struct VirtioNetHeader {
  // flags
  static constexpr uint8_t kNeedsChecksum = 1;  // checksum_start and checksum_offset count; the field has the pseudo
                                                // header's sum
  // segmentation
  static constexpr uint8_t kWhole = 0;  // one packet, as it is
  static constexpr uint8_t kTcp4 = 1;
  static constexpr uint8_t kTcp6 = 4;
  static constexpr uint8_t kUdp = 5;    // datagrams of one size (VIRTIO_NET_HDR_GSO_UDP_L4), either family
  static constexpr uint8_t kEcn = 128;  // beside one of the TCPs: the first segment alone has CWR

  uint8_t flags;
  uint8_t segmentation;
  le16 header_length;    // up to the payload
  le16 segment_size;     // payload bytes of each segment but the last
  le16 checksum_start;   // summed from here to the packet's end
  le16 checksum_offset;  // where the sum goes, counted from checksum_start
};
static_assert(sizeof(VirtioNetHeader) == 10);

}  // namespace slipgate
