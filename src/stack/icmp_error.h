// ICMP (RFC 792) and ICMPv6 (RFC 4443) errors about packets that came from a client: whether one may be sent, and the
// packet itself.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "stack/stack.h"
#include "wire/flow_key.h"
#include "wire/ip.h"

namespace slipgate {

// True when an error of this type may be sent about `original`, a packet that parse_packet() accepted (or the first
// fragment of one): never about an ICMP error or a later fragment, nor about what was sent to many (RFC 1122
// section 3.2.2, RFC 4443 section 2.4 e; there packet-too-big is the exception).
bool may_answer_with_icmp_error(Bytes original, uint8_t type);

// The error, to the sender of `original`, quoting as much of it as fits: packets of up to 576 bytes for IPv4 (RFC 1812
// section 4.3.2.3), 1,280 for IPv6 (RFC 4443 section 2.4 c). `from` is of the same family. `info32` is the header's
// second word: the MTU of packet-too-big and fragmentation-needed. Empty when buffers are exhausted.
Packet make_icmp_error(Bytes original, const IpAddress &from, uint8_t type, uint8_t code, uint32_t info32,
                       StackOutput &output, uint8_t ttl = kDefaultTtl);

// How many errors one client is sent (RFC 4443 section 2.4 f): a token bucket each. Clients are numbered from 1
// upwards, so only more than kBuckets of them share. Lives on one shard.
class IcmpErrorLimiter {
 public:
  // A traceroute sends 3 probes a hop, an application that was denied a destination some per second: both fit.
  static constexpr int kBurst = 100;
  static constexpr Duration kInterval = milliseconds(5);  // a token

  bool allow(uint32_t client, Time now);

 private:
  static constexpr size_t kBuckets = 1024;
  struct Bucket {
    Time full_at{};  // when, without further errors, it will hold kBurst tokens again
  };
  std::array<Bucket, kBuckets> buckets_{};
};

}  // namespace slipgate
