// Datagrams towards a client, cut into IPv4 (RFC 791 section 3.2) or IPv6 (RFC 8200 section 4.5) fragments when they do
// not fit the link.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "stack/stack.h"
#include "wire/ip.h"

namespace slipgate {

// Appends to `packets` the packets of at most `mtu` bytes that carry `transport` (a header with its checksum already in
// it) and `payload`: one when it fits, else fragments, in order. False, with nothing appended and the reason counted:
// longer than IP can say or does not fit and may not be cut (fields.dont_fragment, IPv4 only; IPv6 senders may always
// cut), or buffers exhausted.
//
// fields.identification is used only when there is something to cut.
bool make_packets(const IpFields &fields, Bytes transport, Bytes payload, size_t mtu, StackOutput &output,
                  Counters &counters, std::vector<Packet> &packets);

// Identifications that do not repeat soon for a pair of addresses, and tell nobody how much others send (RFC 7739
// section 5.3). Lives on one shard.
class FragmentIdentification {
 public:
  explicit FragmentIdentification(const uint64_t secret[2]) : secret_{secret[0], secret[1]} {}

  uint32_t next(const IpAddress &source, const IpAddress &destination);

 private:
  static constexpr size_t kCounters = 256;
  const uint64_t secret_[2];
  std::array<uint32_t, kCounters> counters_{};
};

}  // namespace slipgate
