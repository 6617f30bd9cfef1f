// A simulated network in virtual time: two stacks joined by a wire that delays, loses, reorders and limits, with
// applications on both sides that check every byte. A third may share the wire's far end, to compete for it. Nothing
// here waits or asks a clock; 60 s pass in milliseconds.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "base/packet.h"
#include "base/timer_wheel.h"
#include "stack/stack.h"

namespace slipgate::sim {

// One direction of the wire.
struct WireOptions {
  Duration delay = milliseconds(5);
  double loss = 0;  // of packets, at random
  double duplication = 0;
  Duration jitter{};  // up to so much more delay: packets overtake each other
  double bits_per_second = 1e9;
  size_t queue_bytes = 1 << 20;  // what waits for the wire; more is lost
  double reorder = 0;            // of packets: `reorder_by` later than the others
  Duration reorder_by{};
};

class Network;

// A stack on one end of the wire, and what happened to it.
class Node final : public StackOutput, public StackEvents {
 public:
  Node(Network &network, const StackConfig &config, int number);

  Stack stack;
  Counters counters;

  // What to do with a SYN; unset: accept and echo nothing.
  std::function<void(StreamRequestPtr)> on_request;
  std::function<void(const FlowKey &, Bytes, const DatagramInfo &)> on_udp;
  std::function<void(const FlowKey &, uint16_t sequence, Bytes)> on_ping;
  uint64_t packets_out = 0;
  int number() const { return number_; }

  Packet allocate(size_t size) override;
  void output(std::span<Packet> packets) override;
  void on_tcp_request(StreamRequestPtr request) override;
  void on_datagram(const FlowKey &key, uint32_t client, Bytes payload, const DatagramInfo &info,
                   Bytes original) override;
  void on_echo(const FlowKey &key, uint32_t client, uint16_t sequence, Bytes payload, const DatagramInfo &info,
               Bytes original) override;
  void on_icmp_error(const FlowKey &, uint32_t, uint8_t, uint8_t, uint32_t) override {}

 private:
  Network &network_;
  const int number_;
};

class Network {
 public:
  Network(const WireOptions &up, const WireOptions &down, uint32_t seed, const StackConfig &config = {});

  // Runs until `done` holds or `limit` of virtual time has passed; whether it held.
  bool run_until(const std::function<bool()> &done, Duration limit);
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }
  Time now() const { return timers.now(); }

  TimerWheel timers{Time(seconds(1000))};
  BufferPool pool{2048, 1 << 20, 4096};

 private:
  friend class Node;
  void send(int from, Packet packet);

  struct Flying {
    int to;
    Packet packet;
  };
  WireOptions wires_[2];
  Time free_at_[2];  // when the wire has sent what it was given
  std::multimap<Time, Flying> flying_;
  std::mt19937 random_;
  std::vector<LinkPacket> batch_;

 public:
  Node client;                  // opens connections with connect()
  Node gateway;                 // gets requests
  std::unique_ptr<Node> rival;  // so does this, at another address, over the same wire

  void add_rival(const StackConfig &config);
};

// Byte `position` of the stream that everybody sends.
inline uint8_t pattern(uint64_t position) {
  return static_cast<uint8_t>(position * 31 + (position >> 8) * 7 + (position >> 16));
}

// The application on one end of a stream: sends so many bytes of the pattern and then FIN, checks what it receives.
class Peer final : public StreamWatcher {
 public:
  // Sends `size` bytes. `hold_fin`: FIN only by finish().
  Peer(StreamPtr stream, uint64_t size, bool hold_fin = false);
  ~Peer();

  void on_readable() override;
  void on_writable() override;
  void finish();
  void pause_reading() { paused_ = true; }
  void resume_reading();

  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t corrupt = 0;  // bytes that were not the pattern's
  bool end = false;      // the peer's FIN came behind its bytes
  int error = 0;
  StreamPtr stream;

 private:
  void write();

  const uint64_t size_;
  bool hold_fin_;
  bool finished_ = false;
  bool paused_ = false;
};

// A connection from the client's node to the gateway's, and the applications on both ends once they are there.
struct Session {
  std::unique_ptr<Stack::Connecting> connecting;
  std::unique_ptr<Peer> client;
  std::unique_ptr<Peer> gateway;
  int error = 0;
  bool done() const { return client && gateway && client->end && gateway->end; }
};

// Opens one; the client sends `up` bytes and the gateway `down`.
std::unique_ptr<Session> open_session(Network &network, uint16_t port, uint64_t up, uint64_t down, bool v4 = true,
                                      bool hold_fin = false);
// The same with the rival, by IPv4.
std::unique_ptr<Session> open_rival_session(Network &network, uint16_t port, uint64_t up, uint64_t down);
// The key as the client's node sees it; swap() gives the gateway's.
FlowKey session_key(uint16_t port, bool v4);

}  // namespace slipgate::sim
