// One peer whose IP packets come in UDP datagrams, with GUE's header or without any (wire/gue.h). Nothing is encrypted
// and nobody proves who he is: for tests and for wires that are trusted.
//
// The peer is the one configured, or whoever sent a packet last. It is answered as it speaks: from the address that it
// wrote to, with a header or without, and, since Linux has one port for each family without headers, to the port that
// its packets of the same family came from.
//
// Lives on one shard.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "io/loop.h"
#include "io/udp_socket.h"
#include "link/link.h"
#include "link/link_buffers.h"
#include "link/options.h"
#include "wire/gue.h"

namespace slipgate {

struct GuePeerStatus {
  std::optional<Endpoint> endpoint;  // where packets go; none: nobody was heard of
  bool fixed = false;                // as configured; else learnt
  bool header = false;               // packets go with GUE's header
  uint64_t received_bytes = 0, sent_bytes = 0;
  std::optional<Time> last_heard;
};

class GueLink final : public Link, public TurnEnd, private TimerTarget, private UdpSocketOwner {
 public:
  // Binds the socket.
  static Result<std::unique_ptr<GueLink>> open(Loop &loop, const GueLinkOptions &options, LinkPlace link,
                                               LinkBuffers &buffers, LinkEvents &events, Counters &counters);
  ~GueLink() override;

  void send(std::span<Packet> packets) override;
  std::string client_name(uint32_t client) const override;
  void on_turn_end() override;

  // The one client of this link (Packet::client).
  uint32_t client() const { return link_.first_client(); }
  // The other shards' way here: what one of them has for the peer.
  void send_passed_on(Bytes packet);
  // Where the socket really listens.
  Endpoint local() const { return socket_->local(); }
  // What the configured peer's name stands for now.
  void set_peer(const Endpoint &endpoint);
  GuePeerStatus peer() const;

 private:
  // How the packets of one family reach the peer.
  struct Way {
    DatagramPath path;
    bool header = false;
  };

  GueLink(Loop &loop, const GueLinkOptions &options, LinkPlace link, LinkBuffers &buffers, LinkEvents &events,
          Counters &counters);

  void on_datagrams(std::span<Datagram> datagrams) override;
  void on_queue_empty() override {}
  void on_timer(Timer &timer, Time now) override;

  void receive(Datagram &datagram);
  bool is_peer(const Endpoint &remote) const;
  bool is_allowed(Bytes packet, bool v4) const;
  void heard(const DatagramPath &path, bool v4, bool header);
  bool with_header(const Way &way) const;
  bool put_header(Packet &packet, bool v4);
  void warn_of_stranger(const Endpoint &remote);

  Loop &loop_;
  LinkEvents &events_;
  const LinkPlace link_;
  const GueLinkOptions options_;
  Counters &counters_;
  LinkBuffers &buffers_;
  std::optional<Endpoint> peer_;
  std::optional<std::array<Way, 2>> ways_;  // [v4]; none: nobody was heard of
  std::vector<Packet> arrived_;             // inside packets while the shard has them
  uint64_t received_bytes_ = 0, sent_bytes_ = 0;
  std::optional<Time> last_heard_;
  bool warned_ = false;
  std::unique_ptr<UdpSocket> socket_;
  Timer keepalive_{*this};
};

}  // namespace slipgate
