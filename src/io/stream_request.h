// A stream that somebody wants to open and that waits for our answer: a SYN that the stack holds, a SOCKS or Wisp
// request. Ask first, dial, then accept: the client learns that it is connected when the other side really stands.
#pragma once

#include <functional>
#include <memory>

#include "io/stream.h"
#include "wire/flow_key.h"
#include "wire/ip.h"

namespace slipgate {

// How to say no.
struct Refusal {
  enum class Kind : uint8_t {
    reset,        // RST: nothing listens there
    unreachable,  // an ICMP or ICMPv6 error with this type and code (of the client's family)
    silence,      // say nothing: the client's own timer decides
  };
  Kind kind = Kind::reset;
  uint8_t icmp_type = 0;
  uint8_t icmp_code = 0;
  IpAddress from;  // who says so; unspecified: the destination itself

  static Refusal reset() { return {Kind::reset, 0, 0, {}}; }
  static Refusal silence() { return {Kind::silence, 0, 0, {}}; }
  static Refusal unreachable(uint8_t type, uint8_t code, const IpAddress &from = {}) {
    return {Kind::unreachable, type, code, from};
  }
};

class StreamRequest {
 public:
  // Unanswered: the same as refuse(Refusal::silence()).
  virtual ~StreamRequest() = default;

  virtual const FlowKey &key() const = 0;
  virtual uint32_t client() const = 0;  // Packet::client of the one who asks
  // How many routers it may still pass (TTL, hop limit), this one included.
  virtual uint8_t hops() const { return kDefaultTtl; }
  // The DSCP that it came with (RFC 2474 section 3), as in the traffic class: its low two bits are zero.
  virtual uint8_t service_class() const { return 0; }

  // Told once, at most, when the client gives up before the answer (RST, or its retransmissions ended); accept() fails
  // after that. Not called from within accept() or refuse().
  virtual void on_cancel(std::function<void()> handler) = 0;

  // Yes: the stream. Null when the client has given up. Once.
  virtual StreamPtr accept() = 0;
  virtual void refuse(Refusal refusal) = 0;
};

using StreamRequestPtr = std::unique_ptr<StreamRequest>;

}  // namespace slipgate
