// Everything of one stack: its tables, buffers and the list of connections that this turn touched; and the scope in
// which lwIP runs (lwip.h). For stack/*.cc only.
//
// A turn: input() feeds segments to lwIP, whose callbacks only append to what a connection has; deliver() then tells
// the streams' watchers; what they write, consume and close is carried out at the turn's end, once per connection, by
// flush(). So lwIP is never entered from within lwIP.
//
// The functions stand in the order in which a packet meets them.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/packet.h"
#include "stack/connection.h"
#include "stack/connection_table.h"
#include "stack/icmp_error.h"
#include "stack/lwip.h"
#include "stack/packet_output.h"
#include "stack/packet_pbuf.h"
#include "stack/reassembly.h"
#include "stack/send_buffer.h"
#include "stack/stack.h"
#include "stack/tcp_request.h"
#include "wire/icmp.h"

namespace slipgate {

class Stack::World final {
 public:
  // TIME_WAIT lasts this long: long enough for a lost last ACK to be answered a few times, not four minutes. Known
  // connections in it make way for a new SYN at once, so nothing waits for it.
  static constexpr Duration kTimeWait = seconds(4);
  static constexpr size_t kMostTimeWait = 16384;  // the oldest goes early
  static constexpr size_t kMostOrphansPerClient = 4096;
  // Out-of-order bytes that all connections of one client may have waiting.
  static constexpr size_t kMostOutOfOrderPerClient = 32 << 20;
  // However short a connection is kept, it may hold this much.
  static constexpr size_t kLeastHeld = 4096;
  // Reassembled packets that may be held at one time beside those that are not whole.
  static constexpr size_t kHeldReassembled = 64;

  World(const StackConfig &config, TimerWheel &timers, StackOutput &output, StackEvents &events, Counters &counters);
  ~World();
  World(const World &) = delete;
  World &operator=(const World &) = delete;

  // A packet from a link: by its protocol to one of these.
  void input(LinkPacket &&packet);
  void pass_through(const LinkPacket &packet, const Passage &passage);
  void input_tcp(LinkPacket &&packet);   // tcp_input.cc
  void input_udp(LinkPacket &&packet);   // udp.cc
  void input_icmp(LinkPacket &&packet);  // echo.cc
  // Hands the run of segments that is being merged to its connection.
  void finish_run();

  // A connection has something for its watcher, or for flush().
  void has_event(Connection &connection);
  void touch(Connection &connection);
  // Something waits for flush().
  void pending();
  // Tells watchers, with no scope open.
  void deliver();
  // While one is told: whether it still exists.
  bool delivering(const Connection &connection) const { return delivering_ == &connection; }
  void flush();

  // SYNs (tcp_request.cc): hold one, answer it, forget it.
  void hold_syn(const LinkPacket &packet);
  StreamPtr accept(HeldSyn &syn);
  void refuse(HeldSyn &syn, Refusal refusal);
  void cancel(HeldSyn &syn);  // the client gave up
  void forget(HeldSyn &syn);

  // The connection is over: out of the table, and destroyed unless its stream still has an owner.
  void closed(Connection &connection);
  void destroy(Connection &connection);
  void entered_time_wait(Connection &connection);
  bool has_room();
  // Connections whose flow has ended and whose last bytes are on their way. False: the client has too many.
  bool add_orphan(Connection &connection);
  void remove_orphan(Connection &connection);

  std::unique_ptr<Connecting> connect(const FlowKey &key, uint32_t client, ConnectDone done);

  // Feeds a segment that belongs to no connection: lwIP answers with the right RST.
  void reset_segment(const FlowKey &key, pbuf *segment);

  bool send_datagram(const FlowKey &key, Bytes payload, const DatagramInfo &info);
  bool send_echo_reply(const FlowKey &key, uint16_t sequence, Bytes payload, const DatagramInfo &info);
  bool send_icmp_error(const FlowKey &key, Bytes original, const IpAddress &from, uint8_t type, uint8_t code,
                       uint32_t info32, uint8_t ttl = kDefaultTtl);

  struct Client {
    size_t held_syns = 0;
    size_t out_of_order = 0;
    size_t orphans = 0;
    size_t held = 0;
  };
  Client &client(uint32_t number) { return clients_[number]; }
  // How much a connection of this client may hold now.
  size_t held_limit(uint32_t number) const;
  void forget_client(uint32_t number);  // if nothing is counted of it any more

  const StackConfig config;
  TimerWheel &timers;
  StackEvents &events;
  Counters &counters;
  BufferPool reassembled;  // before all that may hold its packets
  PacketPbufs pbufs;
  ChunkPool chunks;
  PathMtus paths;
  PacketOutput output;
  ConnectionTable table;
  size_t connections = 0;  // in the table, requests not counted
  size_t held = 0;         // by all of them, but for what is too little to count
  std::function<void()> pending_handler;

 private:
  // A run of segments of one connection that is being merged (tcp_input.cc).
  struct Run {
    Connection *connection = nullptr;
    pbuf *first = nullptr;
    pbuf *last = nullptr;
    uint32_t next_sequence = 0;
    size_t size = 0;          // payload bytes of all
    size_t segment_size = 0;  // payload bytes of the first
    uint8_t ttl = 0;
    uint8_t traffic_class = 0;
  };
  bool join_run(LinkPacket &packet);
  static bool may_merge(const LinkPacket &packet);
  void input_to_connection(Connection &connection, LinkPacket &&packet);
  void input_no_connection(LinkPacket &&packet);
  void input_to_request(HeldSyn &syn, const LinkPacket &packet);
  bool send_longest_datagram(const FlowKey &key, Bytes payload, const DatagramInfo &info);
  void icmp_error_from_inside(const LinkPacket &packet, Bytes message);

  Reassembly reassembly_;
  IcmpErrorLimiter icmp_limiter_;
  Run run_;
  std::vector<Connection *> touched_;
  bool flushing_ = false;  // what comes up now is part of this flush
  std::vector<Connection *> events_;
  Connection *delivering_ = nullptr;
  std::unordered_map<uint32_t, Client> clients_;
  // Connections in TIME_WAIT, oldest first.
  Connection *time_wait_first_ = nullptr;
  Connection *time_wait_last_ = nullptr;
  size_t time_waits_ = 0;
  Connection *over_first_ = nullptr;  // over, but their streams have owners
};

// While it lives lwIP sees this connection, or none. Scopes do not nest.
class LwipScope {
 public:
  LwipScope(Stack::World &world, Connection &connection);
  // For what belongs to no connection: leaves by `link`.
  LwipScope(Stack::World &world, uint16_t link, bool dont_fragment = true);
  // What lwIP left of the connection is written back to it.
  ~LwipScope();
  LwipScope(const LwipScope &) = delete;
  LwipScope &operator=(const LwipScope &) = delete;

  bool failed() const { return failed_; }  // a packet could not be sent
  // An acknowledgment that lwIP sends from now on, alone, is not sent: the connection has more to say in its own.
  void hold_acknowledgments() { holds_acknowledgments_ = true; }

 private:
  friend struct LwipEntries;
  err_t output(const pbuf *packet);
  u32_t initial_sequence_number(const ip_addr_t &local_ip, u16_t local_port, const ip_addr_t &remote_ip,
                                u16_t remote_port) const;

  Stack::World &world_;
  Connection *connection_;
  const uint16_t link_;
  const bool dont_fragment_;
  bool failed_ = false;
  bool holds_acknowledgments_ = false;
};

}  // namespace slipgate
