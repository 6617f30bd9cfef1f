// The stack: packets of one shard's clients become TCP requests, datagrams and echoes for any destination, and back.
//
// lwIP carries TCP (and parses datagrams) behind this interface and is not visible here. The stack owns no socket and
// no clock: packets come in by input(), leave through StackOutput in batches at flush(), timers run on the wheel it is
// given. Lives on one shard (one thread); several stacks may live on one thread (the simulator's gateway and client
// do).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/timer_wheel.h"
#include "io/stream_request.h"
#include "stack/options.h"
#include "wire/flow_key.h"
#include "wire/ip.h"

namespace slipgate {

struct StackConfig {
  uint16_t mtu = 1420;                      // largest packet towards a link
  std::vector<uint16_t> link_mtus;          // of those that differ, by their numbers
  size_t tcp_buffer_size = 4 << 20;         // most bytes held per direction of a TCP flow; grows to it on demand
  Congestion congestion = Congestion::bbr;  // how TCP sends towards clients
  size_t max_connections = 262144;
  size_t max_requests_per_client = 256;  // SYNs held for one client (`--max-connecting-per-client`)
  // Bytes that all connections together may hold, written and not acknowledged or come and not read, before those of a
  // client that has more than its part are kept short.
  size_t max_held = 48 << 20;
  size_t max_fragments = 1024;  // fragments waiting to become whole, all clients
  uint64_t secret[2] = {};      // random: keys the hash table and RFC 6528's initial sequence numbers
};

// What a datagram or an echo brought along, or should leave with.
struct DatagramInfo {
  uint8_t ttl = 64;
  uint8_t traffic_class = 0;
  bool dont_fragment = false;
};

// Of a packet from one client to another: the other's link, and whose hop this is.
struct Passage {
  uint16_t link = 0;
  IpAddress hop;
};

// Called inside input() and timers, may call back into the stack.
class StackEvents {
 public:
  // A SYN for a connection that does not exist: held until answered.
  virtual void on_tcp_request(StreamRequestPtr request) = 0;
  // A whole UDP datagram (reassembled, checksum verified). `payload` is valid during the call. `original` is the packet
  // from its IP header on, for send_unreachable().
  virtual void on_datagram(const FlowKey &key, uint32_t client, Bytes payload, const DatagramInfo &info,
                           Bytes original) = 0;
  // An echo request (ICMP or ICMPv6): key.inside.port is the identifier.
  virtual void on_echo(const FlowKey &key, uint32_t client, uint16_t sequence, Bytes payload, const DatagramInfo &info,
                       Bytes original) = 0;
  // An ICMP error from inside about a UDP datagram or echo that we sent: `key` is the flow it concerns.
  virtual void on_icmp_error(const FlowKey &key, uint32_t client, uint8_t type, uint8_t code, uint32_t mtu) = 0;
  // Where a packet goes that came in fragments. None: here. Else to another client, one hop further and in fragments
  // again (whole packets between clients never come to the stack, but for those that are too large).
  virtual std::optional<Passage> passes_through(const FlowKey &, uint32_t) { return std::nullopt; }

 protected:
  ~StackEvents() = default;
};

class StackOutput {
 public:
  // Room for a packet of up to `size` bytes with Packet::kHeadroom and kTailroom round it; empty when buffers are
  // exhausted.
  virtual Packet allocate(size_t size) = 0;
  // Packets for the link(s), from the IP header on, `link` set; the callee takes them.
  virtual void output(std::span<Packet> packets) = 0;

 protected:
  ~StackOutput() = default;
};

class Connection;  // stack/*.cc only

class Stack {
 public:
  Stack(const StackConfig &config, TimerWheel &timers, StackOutput &output, StackEvents &events, Counters &counters);
  ~Stack();
  Stack(const Stack &) = delete;
  Stack &operator=(const Stack &) = delete;

  // Takes the packets. Runs of segments of one connection are merged before they are handled.
  void input(std::span<LinkPacket> packets);
  // The end of the turn: acknowledges, sends what streams were given, and hands everything to StackOutput.
  void flush();
  // Called when something was added that a flush() should carry out (so that the owner arranges for one); may be null.
  void on_pending(std::function<void()> handler);

  // Opens a connection towards a client: from key.outside (any address) to key.inside. `done` is called once, with null
  // and the errno (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH) when it fails. Drop the handle to give up.
  class Connecting;
  using ConnectDone = std::function<void(StreamPtr stream, int error)>;
  std::unique_ptr<Connecting> connect(const FlowKey &key, uint32_t client, ConnectDone done);

  // A datagram from key.outside to key.inside, cut into fragments when it does not fit the MTU. Up to 65,507 bytes
  // (IPv4), 65,527 (IPv6); false: too long, or buffers exhausted (counted).
  bool send_datagram(const FlowKey &key, Bytes payload, const DatagramInfo &info);
  // An echo reply from key.outside to key.inside (identifier key.inside.port).
  bool send_echo_reply(const FlowKey &key, uint16_t sequence, Bytes payload, const DatagramInfo &info);
  // An ICMP or ICMPv6 error (RFC 792, RFC 4443) about `original`, a packet from the client, quoting as much of it as
  // fits; it comes from `from` (normally the original destination), so many hops away that its TTL is `ttl`. `info32`
  // is the MTU for packet-too-big. Rate-limited (RFC 4443 section 2.4) and never about an ICMP error (RFC 1122
  // section 3.2.2).
  void send_icmp_error(const FlowKey &key, Bytes original, const IpAddress &from, uint8_t type, uint8_t code,
                       uint32_t info32 = 0, uint8_t ttl = kDefaultTtl);

  // A packet from one client to another, sent on in fragments where it is too large for the other's link.
  void pass_through(const LinkPacket &packet, const Passage &passage);

  // The path to this address of a client takes packets of no more than `mtu` bytes ("packet too big" from inside, by
  // on_icmp_error(), once it is known to be that client's): datagrams are cut to it, for ten minutes. Connections learn
  // for themselves.
  void learn_path_mtu(uint16_t link, const IpAddress &to, uint32_t mtu);
  uint16_t link_mtu(uint16_t link) const;

  size_t connections() const;

  class World;  // stack/*.cc only

 private:
  std::unique_ptr<World> world_;
};

// An opening that is under way; `done` is not called from within connect().
class Stack::Connecting {
 public:
  Connecting() = default;
  ~Connecting();
  Connecting(const Connecting &) = delete;
  Connecting &operator=(const Connecting &) = delete;

 private:
  friend class Connection;
  friend class World;
  Connection *connection_ = nullptr;
  ConnectDone done_;
};

}  // namespace slipgate
