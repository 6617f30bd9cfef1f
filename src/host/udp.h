// UDP of the host: one unconnected socket per client endpoint and family, so that every peer of the world sees that
// client at one address (endpoint-independent mapping and filtering, RFC 4787 REQ-1 and REQ-8), and sockets that listen
// for forwards.
//
// Where the kernel can, datagrams cross it in runs: what comes is joined (UDP_GRO), and of what one turn sends to one
// destination in equal sizes all but the first leave in one call (UDP_SEGMENT).
//
// Lives on one shard. A socket's own memory is small: datagrams land in the loop's scratch buffer, those that are
// gathered for one call in a buffer that lives until the turn's end. An error concerns one datagram; it is told and the
// socket lives on.
#pragma once

#include <sys/socket.h>

#include <array>
#include <memory>
#include <optional>

#include "base/result.h"
#include "io/datagram_port.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/pace.h"
#include "io/poller.h"

namespace slipgate {

// One UDP or ping socket of one family.
class HostDatagramSocket final : public Pollable, TurnEnd, PaceWaiter {
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
  // `prefix` and `payload` make one datagram. The first of a turn leaves at once, the others by the turn's end at the
  // latest. False with errno set: not sent; what could not leave later is told by on_datagram_error().
  bool send(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header);

  void on_events(uint32_t events) override;

 private:
  static constexpr unsigned kBatch = 16;     // datagrams per recvmmsg, 64 kB of scratch each
  static constexpr int kBatchesPerTurn = 4;  // then others have their turn
  static constexpr int kErrorsPerCall = 64;  // of the error queue

  static constexpr size_t kMostSegments = 64;  // UDP_MAX_SEGMENTS of kernels before 6.7
  static constexpr size_t kMostBytes = 65507;  // of one call: the largest UDP payload over IPv4

  // Datagrams of one size for one destination; the last may be shorter.
  struct Gathered {
    Endpoint to;
    DatagramHeader header;
    size_t segment = 0;
    size_t count = 0;
    size_t size = 0;
    uint8_t bytes[kMostBytes];
  };

  HostDatagramSocket(Loop &loop, DatagramPortOwner &owner, Kind kind, Fd descriptor, int family);
  void on_turn_end() override;
  void on_pace() override;
  bool gather(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header);
  void send_gathered();
  // segment 0: one datagram.
  ssize_t send_message(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header, size_t segment);
  bool send_now(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header);
  // False: destroyed meanwhile.
  bool receive();
  bool drain_errors();
  void set_dont_fragment(bool on);

  Loop &loop_;
  DatagramPortOwner &owner_;
  Fd descriptor_;
  const int16_t family_;
  const Kind kind_;
  bool sent_this_turn_ = false;
  std::unique_ptr<Gathered> gathered_;  // since the second datagram of the turn
  int8_t dont_fragment_ = -1;           // as the socket is set; -1: as the kernel made it
  bool *destroyed_ = nullptr;           // set while the owner is called
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
