// One TCP connection: lwIP's PCB, the bytes on both sides of it, and what its owner wants of it. For stack/*.cc only.
//
// lwIP carries the connection; what it lacks as it is driven here is done by this file: windows that grow on demand,
// acknowledgments once a turn, timers for the connections that need them, a life after the stream's owner has gone.
// Beside connection.cc: connection_stream.cc (the owner's side), connection_reports.cc (ECN, what came twice),
// connection_held.cc (what memory it holds).
//
// When what leaves is for the Sender to say. lwIP is given no more bytes than may leave at once, in segments of many
// packets that are cut to size on their way out (packet_output.h); its congestion window is held open, and its
// retransmission and persist timers are held still: what is lost is sent again from the send buffer, round lwIP.
//
// Lives on one shard. Its stream is a handle: the connection goes on without it until the peer has everything.
#pragma once

#include <cstdint>
#include <memory>

#include "base/prefetch.h"
#include "base/timer_wheel.h"
#include "io/stream.h"
#include "stack/connection_table.h"
#include "stack/lwip.h"
#include "stack/receive_queue.h"
#include "stack/send_buffer.h"
#include "stack/sender.h"
#include "stack/stack.h"
#include "wire/tcp_options.h"

namespace slipgate {

class TcpStream;

class Connection final : public TcpEntry, public TimerTarget {
 public:
  // A new connection's receive window: the largest that the SYN-ACK's unscaled field can say.
  static constexpr uint32_t kInitialWindow = 0xffff;
  static constexpr size_t kInitialSendBuffer = 64 * 1024;
  // The owner is told that it may write once there is room for this, or for a quarter of what may be held: two reads of
  // its own. Waiting for more would leave that much of a large send buffer empty when a round trip needs all of it.
  static constexpr size_t kRoomWorthTelling = 128 * 1024;
  // How long data and FIN of a connection without owner may go without an acknowledgment.
  static constexpr Duration kOrphanTimeout = seconds(30);
  // And how long with: what a send buffer may hold is through by then at 2.4 kB/s.
  static constexpr Duration kLongestOrphan = minutes(30);
  // No peer makes us send smaller segments: each costs a packet (as Linux, CVE-2019-11479).
  static constexpr uint16_t kLeastMss = 48;

  Connection(Stack::World &world, const FlowKey &flow_key, uint32_t flow_client);
  ~Connection();

  // One of these begins its life. False: no memory, nothing was sent.
  bool open_passive(pbuf *syn, uint8_t service_class);  // answers the SYN; what we send has the SYN's DSCP
  bool open_active();                                   // sends one

  // The stream; once, and then it decides how the connection ends.
  StreamPtr make_stream();

  // input() is next.
  void prefetch_pcb() const {
    if (pcb_) prefetch(pcb_, pcb_ + 1);
  }
  // A segment, or several merged ones, of packets of this traffic class.
  void input(pbuf *segment, uint8_t traffic_class);
  // Carries out what the turn brought: window, data, FIN, one acknowledgment.
  void flush();
  // Tells the owner what is new. May destroy the connection.
  void deliver();
  void on_timer(Timer &timer, Time now) override;

  bool in_time_wait() const { return time_wait_ != nullptr; }
  void end_time_wait();
  // RST now, if there is anybody to send it to.
  void reset();
  // Ends with this errno without a word to the peer (an ICMP error, the stack's end).
  void fail(int error);
  // Whether it is a SYN of this sequence number that waits for an answer.
  bool awaits_answer_to(uint32_t sequence) const;
  // Whether it has sent this sequence number and waits for its acknowledgment.
  bool has_outstanding(uint32_t sequence) const;
  // Packets of no more than `mtu` bytes from now on: the segment size shrinks, and never grows again.
  void fit_path(uint16_t mtu);
  // Its Stack::Connecting is gone.
  void give_up();
  bool has_owner() const { return stream_ || connecting_; }
  bool opening() const;

 private:
  friend class LwipScope;
  friend struct LwipCallbacks;
  friend class TcpStream;
  friend class Stack::World;
  friend class Stack::Connecting;

  // For TcpStream; io/stream.h says what they mean.
  Peeked peek(size_t most);
  void consume(size_t size);
  size_t writable();
  Result<size_t> write_some(std::span<const iovec> pieces);
  std::span<const iovec> room(size_t most);
  void wrote(size_t size);
  void shutdown_write();
  void watch(StreamWatcher *watcher);
  void stream_gone();

  static constexpr uint32_t kNowhere = UINT32_MAX;
  // RFC 1122 section 4.2.3.2 allows 500 ms; a request's answer mostly comes sooner than this and carries the
  // acknowledgment, which saves a packet sealed and sent.
  static constexpr Duration kAcknowledgeDelay = milliseconds(20);

  // The largest segment that lwIP is given: large enough to make its work per packet small, small enough that a partial
  // acknowledgment frees buffers.
  static constexpr uint32_t kLargeSegment = 32 * 1024;
  static constexpr uint32_t kOpenWindow = 1u << 30;  // lwIP's congestion window
  // What a sender learned from less than this is not kept while nothing is sent: an idle connection is small.
  static constexpr uint64_t kForgotten = 64 * 1024;
  static constexpr Duration kMostPersist = seconds(60);
  static constexpr uint8_t kMostPersists = 12;  // unanswered in a row

  void adopt(tcp_pcb *pcb);
  void after();
  void agree_on_ecn(const TcpHeader &syn);
  void note_marks(const TcpHeader &header, uint8_t traffic_class, size_t payload);
  void mark(uint8_t *ip, TcpHeader &header, size_t payload);
  void hold_lwip(tcp_pcb &pcb) const;
  bool lwip_needs_tick() const;
  bool acknowledges_now() const;
  bool note_duplicate(uint32_t begin, size_t size);
  void report_duplicate();
  void acknowledged(const tcp_pcb &pcb, const TcpHeader &header, const TcpOptions &options, size_t payload,
                    uint32_t acknowledged_before);
  void resend(uint32_t from, uint32_t to);
  void send_alone(uint32_t sequence, uint8_t flags, size_t offset, size_t size);
  void open_window();
  void transmit(Time now);
  void give_data(Time now);
  void give(size_t amount);
  uint32_t peer_room() const;
  uint32_t room_of_buffer() const;
  void make_sender(Time now);
  void note_sent(Time now);
  bool act_on_time(Time now);
  void arm_timer(Time now);
  void settle_out_of_order();
  void settle_held();
  void output();
  size_t most_send_buffer() const;
  size_t send_limit() const;
  void readable();
  void writable_again();
  int write_error() const;

  Stack::World &world_;
  tcp_pcb *pcb_ = nullptr;           // while lwIP has it among the active ones
  tcp_pcb *time_wait_ = nullptr;     // or in TIME_WAIT
  tcp_seg *unacked_last_ = nullptr;  // the last that lwIP has in flight, while lastack is before unacked_end_
  TcpStream *stream_ = nullptr;
  Stack::Connecting *connecting_ = nullptr;
  StreamWatcher *watcher_ = nullptr;
  Timer timer_{*this};
  Timer acknowledge_timer_{*this};  // something small came that nothing has acknowledged yet

  ReceiveQueue received_;
  std::unique_ptr<ReceiveQueue::Pieces> pieces_;  // what the last peek() showed; none while nothing waits
  size_t consumed_ = 0;                           // since the window was last opened
  uint32_t receive_limit_ = kInitialWindow;       // window and received_ together
  uint32_t growth_bytes_ = 0;                     // consumed since growth_start_
  Time growth_start_{};
  uint32_t acknowledged_ = 0;  // the last acknowledgment number that we sent
  SackBlock duplicate_;        // what came twice and nobody was told of yet
  size_t out_of_order_ = 0;    // bytes that lwIP holds out of order
  size_t held_ = 0;            // in received_ and sending_, as counted

  SendBuffer sending_;
  std::unique_ptr<Sender> sender_;  // once something was sent
  Duration handshake_{};            // its round trip, 0: not measured
  Time opened_at_{};
  uint32_t unacked_end_ = 0;
  uint32_t sent_up_to_ = 0;
  uint32_t given_up_to_ = 0;  // the sequence number behind the last byte that lwIP was given
  Time orphan_deadline_ = kNever;
  Time orphan_end_ = kNever;  // however alive it is
  bool is_orphan_ = false;    // counted as its client's
  Time lwip_tick_at_ = kNever;
  Time persist_at_ = kNever;  // the peer's window is closed: when to ask
  uint16_t last_window_ = 0;
  uint8_t persist_backoff_ = 0;
  uint8_t persists_ = 0;  // unanswered

  // Explicit congestion notification (RFC 3168), with peers that ask for it in their SYN.
  bool ecn_ = false;              // agreed on
  bool echo_congestion_ = false;  // what we send says ECE, until the peer has said CWR
  bool window_reduced_ = false;   // the next new data says CWR

  int error_ = 0;
  bool established_ = false;
  bool acknowledge_overdue_ = false;
  bool gap_ = false;             // at the end of the last turn lwIP held something out of order
  bool peer_finished_ = false;   // its FIN came, in order
  bool fin_wanted_ = false;      // shutdown_write() was called
  bool fin_given_ = false;       // lwIP has it
  bool wants_writable_ = false;  // somebody was told that there is no room
  bool readable_event_ = false;
  bool writable_event_ = false;
  uint32_t touched_at_ = kNowhere;  // places in the world's lists
  uint32_t event_at_ = kNowhere;
  bool in_time_wait_list_ = false;  // the world's lists
  bool is_over_ = false;
  Connection *next_time_wait_ = nullptr;
  Connection *previous_time_wait_ = nullptr;
  Connection *next_over_ = nullptr;
  Connection *previous_over_ = nullptr;
};

// The owner's end of a connection.
class TcpStream final : public Stream {
 public:
  explicit TcpStream(Connection &connection) : connection_(&connection) {}
  ~TcpStream() override;

  Peeked peek(size_t most) override;
  void consume(size_t size) override;
  size_t writable() override;
  Result<size_t> write_some(std::span<const iovec> pieces) override;
  std::span<const iovec> room(size_t most) override;
  void wrote(size_t size) override;
  void shutdown_write() override;
  void abort() override;
  void watch(StreamWatcher *watcher) override;

 private:
  friend class Connection;
  Connection *connection_;  // null when the stack is gone
};

}  // namespace slipgate
