// lwIP as src/stack sees it: its headers, addresses translated, and the scope in which it runs. Included by stack/*.cc
// only.
//
// lwIP never searches. Its lists of connections are a view: for as long as a LwipScope lives they hold the one
// connection at hand (or none), and what they hold at the end says what became of it. Everything else follows from
// that: no list grows, no timer walks, any destination is accepted, and a SYN is answered when we feed it to lwIP with
// a listener in view.
#pragma once

#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS  // lwIP's htons() and friends are macros that clash with the system's
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include <cstring>

#include "base/address.h"
#include "base/time.h"

namespace slipgate {

inline ip_addr_t to_lwip(const IpAddress &address) {
  ip_addr_t result;
  std::memset(&result, 0, sizeof(result));
  if (address.is_v4()) {
    IP_SET_TYPE_VAL(result, IPADDR_TYPE_V4);
    std::memcpy(&ip_2_ip4(&result)->addr, address.v4_bytes().data(), 4);
  } else {
    IP_SET_TYPE_VAL(result, IPADDR_TYPE_V6);
    std::memcpy(ip_2_ip6(&result)->addr, address.v6_bytes().data(), 16);
  }
  return result;
}

// lwIP's clock counts its slow timer's ticks. It starts well above 0, which means "not measuring" in a PCB.
inline constexpr Duration kLwipTick = milliseconds(TCP_SLOW_INTERVAL);
inline u32_t lwip_ticks(Time now) {
  return static_cast<u32_t>(now.time_since_epoch() / kLwipTick) + 1000;
}

}  // namespace slipgate
