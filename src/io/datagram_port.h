// Where a client's datagrams leave the gateway and answers come back: a host socket, or something that plays one.
//
// Lives on one shard.
#pragma once

#include "base/address.h"
#include "base/bytes.h"

namespace slipgate {

class Pace;

// What of an IP header goes along with a datagram.
struct DatagramHeader {
  uint8_t ttl = 64;
  uint8_t traffic_class = 0;
  bool dont_fragment = false;  // on the way out: too long for the path is an error, not fragments
  IpAddress local;             // listeners: our address that was written to, and that the answer is to leave from

  bool operator==(const DatagramHeader &) const = default;
};

// Why a datagram did not arrive, as far as an ICMP message or the kernel says.
struct DatagramError {
  Endpoint destination;   // where the datagram was sent to
  IpAddress reporter;     // the router or host that says so; unspecified: our own kernel
  int code = 0;           // errno
  bool has_icmp = false;  // type and icmp_code are of the destination's family
  uint8_t icmp_type = 0;
  uint8_t icmp_code = 0;
  uint32_t mtu = 0;  // "packet too big": what fits
  uint8_t ttl = 64;  // with which the message arrived
  Bytes quote;       // first bytes of the payload, as far as the message quotes them; valid during the call
};

class DatagramPortOwner {
 public:
  // `payload` is valid during the call. May destroy the port.
  virtual void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) = 0;
  virtual void on_datagram_error(const DatagramError &error) = 0;
  // What reading is held back by, so that the kernel's buffer fills instead of the way inside; null: nothing.
  virtual Pace *pace() { return nullptr; }

 protected:
  ~DatagramPortOwner() = default;
};

class DatagramPort {
 public:
  virtual ~DatagramPort() = default;
  // True: it was taken, and leaves by the end of the turn. What the kernel refuses is told by on_datagram_error(), here
  // or later. A failure never ends the port.
  virtual bool send(Bytes payload, const Endpoint &to, const DatagramHeader &header) = 0;
};

}  // namespace slipgate
