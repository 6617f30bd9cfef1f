// Packets on their way out: what lwIP sends is copied once into a packet of the link's, checksummed in the same pass,
// and gathered until the end of the turn.
#pragma once

#include <vector>

#include "base/counters.h"
#include "stack/fragments.h"
#include "stack/lwip.h"
#include "stack/path_mtu.h"
#include "stack/stack.h"

namespace slipgate {

class PacketOutput {
 public:
  static constexpr size_t kBatch = 256;  // handed on when this many have gathered, or at the end of the turn

  PacketOutput(StackOutput &sink, Counters &counters, const StackConfig &config, const PathMtus &paths);

  // An IP packet with a TCP or UDP header, from the IP header on and without checksums; it stays lwIP's. A TCP segment
  // with more than `segment_size` bytes of payload is cut into packets of so many. False: dropped and counted.
  bool take(const pbuf *chain, uint16_t link, bool dont_fragment, size_t segment_size);
  // A message whose checksum is in place, cut into fragments if it must be. False: dropped and counted.
  bool send(IpFields fields, Bytes message, Bytes payload, uint16_t link);
  // A finished packet; an empty one is counted as buffers exhausted.
  bool send(Packet packet, uint16_t link);

  void flush();
  StackOutput &sink() { return sink_; }
  bool pending() const { return !batch_.empty(); }

 private:
  bool take_large(const pbuf *chain, uint16_t link, bool dont_fragment);
  bool take_segments(const pbuf *chain, uint16_t link, size_t transport, size_t segment_size);
  void added(size_t first, uint16_t link);

  StackOutput &sink_;
  Counters &counters_;
  const PathMtus &paths_;
  FragmentIdentification identification_;
  std::vector<Packet> batch_;
};

}  // namespace slipgate
