#include "gateway/refusals.h"

#include "wire/icmp.h"

namespace slipgate {

Refusal tcp_refusal(DropReason reason, bool v4) {
  switch (reason) {
    case DropReason::no_ipv6:  // so that the client falls back to IPv4 without waiting
    case DropReason::ttl_expired:
      return datagram_refusal(reason, v4);
    default:
      return Refusal::reset();
  }
}

Refusal datagram_refusal(DropReason reason, bool v4) {
  switch (reason) {
    case DropReason::no_service:
    case DropReason::connection_refused:
      return v4 ? Refusal::unreachable(icmp::kDestinationUnreachable, icmp::kPortUnreachable)
                : Refusal::unreachable(icmpv6::kDestinationUnreachable, icmpv6::kPortUnreachable);
    case DropReason::no_ipv6:
    case DropReason::host_unreachable:
    case DropReason::proxy_unreachable:
    case DropReason::proxy_failed:
    case DropReason::proxy_login:
      return v4 ? Refusal::unreachable(icmp::kDestinationUnreachable, icmp::kHostUnreachable)
                : Refusal::unreachable(icmpv6::kDestinationUnreachable, icmpv6::kNoRoute);
    case DropReason::ttl_expired:
      return v4 ? Refusal::unreachable(icmp::kTimeExceeded, icmp::kTtlExceeded)
                : Refusal::unreachable(icmpv6::kTimeExceeded, icmpv6::kHopLimitExceeded);
    default:
      return v4 ? Refusal::unreachable(icmp::kDestinationUnreachable, icmp::kCommunicationProhibited)
                : Refusal::unreachable(icmpv6::kDestinationUnreachable, icmpv6::kAdministrativelyProhibited);
  }
}

}  // namespace slipgate
