// Echo (ICMP and ICMPv6) through the host's ping sockets, which need no privilege where net.ipv4.ping_group_range
// allows.
//
// One socket per client and identifier, and family. The kernel puts an identifier of its own into what is sent and
// gives back only the answers to it: which client's identifier it stands for is known by the socket, not by the packet.
//
// Lives on one shard.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "host/udp.h"

namespace slipgate {

class PingPortOwner {
 public:
  // `payload` is valid during the call. May destroy the port.
  virtual void on_echo_reply(uint16_t sequence, Bytes payload, const IpAddress &from, const DatagramHeader &header) = 0;
  // Time exceeded, unreachable, too big: of the request with that sequence number (the last one sent when the message
  // does not say).
  virtual void on_echo_error(uint16_t sequence, const DatagramError &error) = 0;

 protected:
  ~PingPortOwner() = default;
};

class PingPort final : DatagramPortOwner {
 public:
  using Options = HostDatagramPort::Options;

  PingPort(Loop &loop, PingPortOwner &owner, const Options &options);
  ~PingPort();

  // An echo request; the identifier is the port's own. False: not sent. A kernel that has no ping sockets for us is
  // told as "administratively prohibited".
  bool send(uint16_t sequence, Bytes payload, const IpAddress &to, const DatagramHeader &header);
  int open_error() const { return open_error_; }

 private:
  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) override;
  void on_datagram_error(const DatagramError &error) override;

  Loop &loop_;
  PingPortOwner &owner_;
  const Options &options_;                                      // outlives the port
  std::array<std::unique_ptr<HostDatagramSocket>, 2> sockets_;  // IPv4, IPv6
  uint16_t last_sequence_ = 0;
  int open_error_ = 0;
};

// Whether the kernel gives ping sockets to this process, asked by opening one of each family.
struct PingSupport {
  bool v4 = false;
  bool v6 = false;
  std::string advice;  // empty when there is nothing to do; else one line with the sysctl that allows it
};
PingSupport probe_ping_sockets();

}  // namespace slipgate
