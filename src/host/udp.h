// UDP of the host: one unconnected socket per client endpoint and family, so that every peer of the world sees that
// client at one address (endpoint-independent mapping and filtering, RFC 4787 REQ-1 and REQ-8), and sockets that listen
// for forwards.
//
// Lives on one shard. A socket's own memory is small: datagrams land in the loop's scratch buffer. An error concerns
// one datagram; it is told and the socket lives on.
#pragma once

#include <sys/socket.h>

#include <array>
#include <memory>
#include <optional>

#include "base/result.h"
#include "io/datagram_port.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/poller.h"

namespace slipgate {

// One UDP or ping socket of one family.
class HostDatagramSocket final : public Pollable {
 public:
  enum class Kind : uint8_t {
    udp,
    udp_listener,  // tells DatagramHeader::local and obeys it
    ping,          // payload: ICMP from its type on
  };

  // Bound to `local` (port 0: the kernel's choice). An AF_INET6 listener on :: serves IPv4 as well.
  static Result<std::unique_ptr<HostDatagramSocket>> open(Loop &loop, DatagramPortOwner &owner, Kind kind,
                                                          const Endpoint &local);
  ~HostDatagramSocket();

  Endpoint local() const;
  // `prefix` and `payload` make one datagram. False with errno set: not sent.
  bool send(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header);

  void on_events(uint32_t events) override;

 private:
  static constexpr unsigned kBatch = 16;     // datagrams per recvmmsg, 64 kB of scratch each
  static constexpr int kBatchesPerTurn = 4;  // then others have their turn
  static constexpr int kErrorsPerCall = 64;  // of the error queue

  HostDatagramSocket(Loop &loop, DatagramPortOwner &owner, Kind kind, Fd descriptor, int family);
  // False: destroyed meanwhile.
  bool receive();
  bool drain_errors();
  void set_dont_fragment(bool on);

  Loop &loop_;
  DatagramPortOwner &owner_;
  Fd descriptor_;
  const int16_t family_;
  const Kind kind_;
  int8_t dont_fragment_ = -1;  // as the socket is set; -1: as the kernel made it
  bool *destroyed_ = nullptr;  // set while the owner is called
};

// A client endpoint's way out.
class HostDatagramPort final : public DatagramPort {
 public:
  struct Options {
    std::optional<IpAddress> source_ipv4, source_ipv6;
  };

  // Opens nothing yet: a family's socket is made with the first datagram to it.
  HostDatagramPort(Loop &loop, DatagramPortOwner &owner, const Options &options);
  ~HostDatagramPort() override;

  bool send(Bytes payload, const Endpoint &to, const DatagramHeader &header) override;
  // errno of the last socket that could not be made: EMFILE and its like belong to the gateway's admission. 0: none
  // yet.
  int open_error() const { return open_error_; }
  // The socket's own endpoint, port 0 while there is none.
  Endpoint local(bool v4) const;

 private:
  Loop &loop_;
  DatagramPortOwner &owner_;
  const Options &options_;                                      // outlives the port: the gateway's
  std::array<std::unique_ptr<HostDatagramSocket>, 2> sockets_;  // IPv4, IPv6
  int open_error_ = 0;
};

}  // namespace slipgate
