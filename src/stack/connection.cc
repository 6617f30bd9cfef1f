#include "stack/connection.h"

#include <access.h>

#include <algorithm>
#include <cerrno>

#include "stack/world.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace slipgate {

// What lwIP calls. Each only appends to what the connection has: lwIP is in the middle of its work.
struct LwipCallbacks {
  static Connection &of(void *argument) { return *static_cast<Connection *>(argument); }

  // Never an error (lwIP would hand the same bytes again at each segment): what the owner does not take is withheld
  // from the window instead.
  static err_t received(void *argument, tcp_pcb *pcb, pbuf *chain, err_t) {
    Connection &connection = of(argument);
    if (chain) {
      connection.received_.append(chain);
    } else {
      connection.peer_finished_ = true;
      if (pcb->state == CLOSE_WAIT) tcp_clear_flags(pcb, TF_ACK_NOW);  // flush() decides, as about data
    }
    connection.readable();
    return ERR_OK;
  }

  static err_t sent(void *argument, tcp_pcb *, u16_t count) {
    Connection &connection = of(argument);
    connection.sending_.release(count);
    connection.writable_again();
    return ERR_OK;
  }

  static void failed(void *argument, err_t error) {
    Connection &connection = of(argument);
    if (error == ERR_RST) {
      connection.error_ = connection.opening() ? ECONNREFUSED : ECONNRESET;
    } else if (error != ERR_CLSD) {
      connection.error_ = ETIMEDOUT;
    }
    connection.readable();
    connection.writable_again();
  }

  static err_t connected(void *argument, tcp_pcb *pcb, err_t) {
    // lwIP has just opened the window as far as its options allow; begin small.
    pcb->rcv_wnd = pcb->rcv_ann_wnd = Connection::kInitialWindow;
    of(argument).readable();
    return ERR_OK;
  }
};

Connection::Connection(Stack::World &world, const FlowKey &flow_key, uint32_t flow_client)
    : TcpEntry(Kind::connection, flow_key, flow_client), world_(world), sending_(world.chunks) {}

Connection::~Connection() {
  if (stream_) stream_->connection_ = nullptr;
  if (connecting_) connecting_->connection_ = nullptr;
  if (out_of_order_ > 0) {
    world_.client(client).out_of_order -= out_of_order_;
    world_.forget_client(client);
  }
  received_.clear();
  sending_.clear();
  settle_held();
}

bool Connection::opening() const {
  return !established_;
}

// --- opening ---

void Connection::adopt(tcp_pcb *pcb) {
  tcp_arg(pcb, this);
  tcp_recv(pcb, LwipCallbacks::received);
  tcp_sent(pcb, LwipCallbacks::sent);
  tcp_err(pcb, LwipCallbacks::failed);
  // Nagle counts in pcb->mss, and the relay writes as much as there is anyway.
  tcp_nagle_disable(pcb);
}

bool Connection::open_passive(pbuf *syn, uint8_t service_class) {
  opened_at_ = world_.timers.now();
  {
    LwipScope scope(world_, *this);
    ip_addr_t from = to_lwip(key.inside.address);
    ip_addr_t to = to_lwip(key.outside.address);
    agree_on_ecn(*static_cast<const TcpHeader *>(syn->payload));
    access_tcp_accept(syn, &from, &to, key.outside.port);
    if (tcp_pcb *pcb = access_active()) {
      adopt(pcb);
      pcb->tos = service_class;
      pcb->rcv_wnd = pcb->rcv_ann_wnd = kInitialWindow;
      pcb->rcv_ann_right_edge = pcb->rcv_nxt + kInitialWindow;
    }
  }
  if (!pcb_) return false;
  world_.touch(*this);
  return true;
}

bool Connection::open_active() {
  opened_at_ = world_.timers.now();
  {
    LwipScope scope(world_, *this);
    tcp_pcb *pcb = tcp_new_ip_type(key.is_v4() ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
    if (!pcb) return false;
    adopt(pcb);
    pcb->netif_idx = access_netif_index();
    tcp_err(pcb, nullptr);
    // Not by tcp_bind(): any address and port may be the source.
    pcb->local_ip = to_lwip(key.outside.address);
    pcb->local_port = key.outside.port;
    ip_addr_t to = to_lwip(key.inside.address);
    if (tcp_connect(pcb, &to, key.inside.port, LwipCallbacks::connected) != ERR_OK) {
      pcb->local_port = 0;
      tcp_abort(pcb);
      return false;
    }
    tcp_err(pcb, LwipCallbacks::failed);
  }
  if (!pcb_) return false;
  world_.touch(*this);
  return true;
}

StreamPtr Connection::make_stream() {
  auto stream = std::make_unique<TcpStream>(*this);
  stream_ = stream.get();
  return stream;
}

// --- segments ---

void Connection::input(pbuf *segment, uint8_t traffic_class) {
  // Nobody reads what came before: what comes now is in the window, but the client has more than its part of memory.
  if (!received_.empty() && received_.size() >= world_.held_limit(client)) {  // lesson: tcp-held-bounded
    const auto *header = static_cast<const TcpHeader *>(segment->payload);
    if (segment->tot_len > header->header_length()) {
      world_.counters.drop(DropReason::held_limit);
      pbuf_free(segment);
      return;
    }
  }
  world_.touch(*this);
  {
    LwipScope scope(world_, *this);
    ip_addr_t from = to_lwip(key.inside.address);
    ip_addr_t to = to_lwip(key.outside.address);
    // lwIP rewrites the header as it reads it.
    const TcpHeader header = *static_cast<const TcpHeader *>(segment->payload);
    TcpOptions options;
    if (sender_ && header.header_length() > sizeof(TcpHeader)) {
      options = parse_tcp_options({static_cast<const uint8_t *>(segment->payload) + sizeof(TcpHeader),
                                   header.header_length() - sizeof(TcpHeader)});
    }
    size_t payload = segment->tot_len - header.header_length();
    uint32_t acknowledged_before = pcb_ ? pcb_->lastack : 0;
    // RFC 9293 section 3.7.1: the option belongs to SYNs; lwIP would take it, beyond our MTU, from any segment.
    const u16_t agreed_mss = pcb_ && pcb_->state != SYN_SENT ? pcb_->mss : 0;  // lesson: stack-mss-of-the-handshake
    // A SYN that the peer repeats may no longer ask for ECN (RFC 3168 section 6.1.1.1).
    if (pcb_ && pcb_->state == SYN_RCVD && (header.flags & TcpHeader::kSyn)) agree_on_ecn(header);
    if (ecn_) note_marks(header, traffic_class, payload);
    if (pcb_ && established_) {
      hold_lwip(*pcb_);
      if (payload > 0 && header.sequence != pcb_->rcv_nxt && note_duplicate(header.sequence, payload)) {
        scope.hold_acknowledgments();  // flush() sends the one with the report
      }
    }
    access_tcp_input(segment, &from, &to);
    if (tcp_pcb *pcb = access_active()) {
      // lwIP acknowledges every second segment at once; flush() does it once a turn.
      if (!(pcb->flags & TF_ACK_NOW)) tcp_clear_flags(pcb, TF_ACK_DELAY);
      if (agreed_mss) pcb->mss = agreed_mss;
      persists_ = 0;
      if (sender_) acknowledged(*pcb, header, options, payload, acknowledged_before);
    }
  }
  after();
}

// --- what leaves, and what comes back for it ---

// lwIP's own retransmission, congestion window and persist timer never act.
void Connection::hold_lwip(tcp_pcb &pcb) const {
  pcb.cwnd = pcb.ssthresh = kOpenWindow;
  pcb.rtime = -1;
  pcb.dupacks = 0;
  pcb.nrtx = 0;
  pcb.persist_backoff = 0;
  pcb.rttest = 0;
  pcb.rto = static_cast<s16_t>(seconds(1) / kLwipTick);  // out-of-order data is kept for six of these
}

void Connection::acknowledged(const tcp_pcb &pcb, const TcpHeader &header, const TcpOptions &options, size_t payload,
                              uint32_t acknowledged_before) {
  if (!(header.flags & TcpHeader::kAck) || sender_->idle()) return;
  bool advanced = pcb.lastack != acknowledged_before;
  // RFC 5681 section 2.
  bool duplicate = !advanced && payload == 0 && header.acknowledgment == pcb.lastack &&
                   !(header.flags & (TcpHeader::kSyn | TcpHeader::kFin)) && header.window == last_window_;
  last_window_ = header.window;
  if (header.acknowledgment == pcb.lastack) {
    if (header.window == 0) {
      sender_->window_closed();  // lesson: closed-window-is-patience
    } else {
      sender_->window_open();
    }
  }
  Time now = world_.timers.now();
  // Of an orphan that goes on: but not for ever.
  if (advanced && orphan_deadline_ != kNever) orphan_deadline_ = std::min(now + kOrphanTimeout, orphan_end_);
  if (advanced || duplicate || options.sack_count > 0) {
    sender_->acknowledged(pcb.lastack, header.acknowledgment, options.sack(), duplicate, now);
  }
}

void Connection::make_sender(Time now) {
  RoundTrip round_trip;
  if (handshake_ > Duration{}) round_trip.add(handshake_, handshake_, now);
  sender_ = std::make_unique<Sender>(world_.config.congestion, pcb_->mss, (pcb_->flags & TF_SACK) != 0, round_trip,
                                     sent_up_to_, now);
}

// How much more the peer would take (RFC 9293 section 3.8.6).
uint32_t Connection::peer_room() const {
  uint32_t outstanding = pcb_->snd_lbb - pcb_->lastack;
  return pcb_->snd_wnd > outstanding ? pcb_->snd_wnd - outstanding : 0;
}

// Sends what is due: repetitions first, then what is new.
void Connection::transmit(Time now) {
  hold_lwip(*pcb_);
  if (sender_) {
    sender_->update(now);
    while (std::optional<Sender::Range> range = sender_->next_resend(now)) resend(range->from, range->to);
  }
  give_data(now);
}

// Until a hole is repaired, a round trip after it was found, what comes behind it stays in the send buffer: what may be
// in flight is half of that then, or the other half of the time nothing leaves. Three quarters of it before: startup,
// on a path that holds about as much as the buffer, would otherwise lose all that is too much at once, and have no room
// left to send while it repairs that.
uint32_t Connection::room_of_buffer() const {
  const size_t part = most_send_buffer() / 4 * (sender_->recovering() ? 2 : 3), flying = sender_->in_flight();
  const size_t most = std::max<size_t>(part, 2 * pcb_->mss);  // of a small buffer: all  lesson: tcp-small-buffer-sends
  return static_cast<uint32_t>(most > flying ? most - flying : 0);
}

void Connection::give_data(Time now) {
  if (pcb_->state != ESTABLISHED && pcb_->state != CLOSE_WAIT) return;
  // What lwIP could not send goes first.
  if (pcb_->unsent) return;
  size_t waiting = sending_.waiting();
  if (waiting > 0) {
    if (!sender_) make_sender(now);
    uint32_t mss = pcb_->mss, room = std::min(sender_->room(now), room_of_buffer()), peer = peer_room();
    size_t amount = std::min<size_t>({waiting, room, peer});
    if (amount < waiting && amount >= mss) amount -= amount % mss;
    // Less than a segment only at the end, or when the peer's whole window is no more (RFC 9293 section 3.8.6.2.1).
    bool all_there_is = peer <= room && sender_->idle();
    if (amount < waiting && amount < mss && !all_there_is) amount = 0;
    give(amount);
  }
  // By tcp_shutdown(), never tcp_close(): that resets when the window is not at its largest.
  if (fin_wanted_ && !fin_given_ && sending_.waiting() == 0 && tcp_shutdown(pcb_, 0, 1) == ERR_OK) fin_given_ = true;
}

// Hands `amount` bytes to lwIP, in large segments of whole packets.
void Connection::give(size_t amount) {
  const u16_t mss = pcb_->mss;
  // lwIP cuts at half the peer's largest window, too.
  uint32_t packets = std::min<uint32_t>(kLargeSegment, pcb_->snd_wnd_max / 2) / mss;
  if (packets > 1) pcb_->mss = static_cast<u16_t>(packets * mss);
  while (amount > 0) {
    Bytes piece = sending_.next(std::min<size_t>(amount, 0xffff));
    u8_t flags = sending_.waiting() > piece.size() ? TCP_WRITE_FLAG_MORE : 0;
    if (tcp_write(pcb_, piece.data(), static_cast<u16_t>(piece.size()), flags) != ERR_OK) break;
    sending_.give(piece.size());
    given_up_to_ = pcb_->snd_lbb;
    amount -= piece.size();
  }
  pcb_->mss = mss;
}

// lwIP has sent what it was given.
void Connection::note_sent(Time now) {
  if (pcb_->snd_nxt != sent_up_to_) {
    if (!sender_) make_sender(now);
    sender_->sent(sent_up_to_, pcb_->snd_nxt, now);
    sent_up_to_ = pcb_->snd_nxt;
  }
  if (!sender_) return;
  bool waiting = sending_.waiting() > 0;
  bool blocked = waiting && peer_room() < std::min<size_t>(pcb_->mss, sending_.waiting());
  // A buffer that is full is our own limit, as the peer's window is its: the owner would send more. So is the part of
  // it that may be in flight.
  bool full = !waiting && (wants_writable_ || writable_event_);
  bool held_back = waiting && room_of_buffer() < std::min<size_t>(pcb_->mss, sending_.waiting());
  sender_->finished(waiting || full, blocked || full || held_back);
  // RFC 9293 section 3.8.6.1: nothing in flight will bring news of the window.
  if ((blocked || pcb_->unsent) && sender_->idle() && pcb_->snd_wnd < pcb_->snd_lbb - pcb_->lastack + pcb_->mss) {
    if (persist_at_ == kNever) persist_at_ = now + (sender_->round_trip().timeout() * (1 << persist_backoff_));
  } else {
    persist_at_ = kNever;
    persist_backoff_ = 0;
  }
}

// Sends bytes again that lwIP sent once, from the send buffer and round lwIP.
void Connection::resend(uint32_t from, uint32_t to) {
  uint32_t given = static_cast<uint32_t>(sending_.size() - sending_.waiting());
  uint32_t data_end = given_up_to_;
  uint32_t data_begin = data_end - given;
  bool fin = sequence_before(data_end, to);
  uint32_t end = fin ? data_end : to;
  if (sequence_before(from, data_begin) || sequence_before(end, from)) return;
  // Packets of before may be larger than the path that fit_path() was told of.
  world_.counters.tcp_bytes_resent += end - from;
  while (end - from > pcb_->mss) {
    send_alone(from, 0, from - data_begin, pcb_->mss);
    from += pcb_->mss;
  }
  send_alone(from, static_cast<uint8_t>(TcpHeader::kPsh | (fin ? TcpHeader::kFin : 0)), from - data_begin, end - from);
}

// A packet that lwIP knows nothing of: `size` bytes at `offset` of the send buffer.
void Connection::send_alone(uint32_t sequence, uint8_t flags, size_t offset, size_t size) {
  const tcp_pcb &pcb = *pcb_;
  IpFields fields{.source = key.outside.address,
                  .destination = key.inside.address,
                  .protocol = static_cast<uint8_t>(Protocol::tcp),
                  .ttl = pcb.ttl,
                  .traffic_class = pcb.tos};
  size_t transport = fields.header_size();
  Packet packet = world_.output.sink().allocate(transport + sizeof(TcpHeader) + size);
  if (packet) {
    write_ip_header(packet.data(), fields, sizeof(TcpHeader) + size);
    TcpHeader &header = *reinterpret_cast<TcpHeader *>(packet.data() + transport);
    header.source_port = key.outside.port;
    header.destination_port = key.inside.port;
    header.sequence = sequence;
    header.acknowledgment = pcb.rcv_nxt;
    header.data_offset = 5 << 4;
    header.flags = static_cast<uint8_t>(TcpHeader::kAck | flags | (echo_congestion_ ? TcpHeader::kEce : 0));
    header.window = static_cast<uint16_t>(std::min<uint32_t>(RCV_WND_SCALE(&pcb, pcb.rcv_ann_wnd), 0xffff));
    header.checksum = 0;
    header.urgent_pointer = 0;
    sending_.copy(offset, {packet.data() + transport + sizeof(TcpHeader), size});
    uint16_t sum = add_sums(ones_complement_sum(packet.bytes().subspan(transport)),
                            pseudo_header_sum(fields.source, fields.destination, fields.protocol,
                                              static_cast<uint32_t>(sizeof(TcpHeader) + size)));
    header.checksum = checksum_of(sum);
    pcb_->rcv_ann_right_edge = pcb.rcv_nxt + pcb.rcv_ann_wnd;
    acknowledged_ = pcb.rcv_nxt;
  }
  world_.pending();
  world_.output.send(std::move(packet), key.link);
}

// What lwIP made of it: opened, TIME_WAIT, gone. May destroy the connection.
void Connection::after() {
  if (pcb_ && !established_ && pcb_->state >= ESTABLISHED) {
    established_ = true;
    sent_up_to_ = given_up_to_ = pcb_->snd_nxt;
    growth_start_ = world_.timers.now();
    // A SYN that was repeated says nothing (RFC 6298 section 3).
    if (growth_start_ - opened_at_ < RoundTrip::kFirstTimeout) {
      handshake_ = std::max<Duration>(growth_start_ - opened_at_, microseconds(1));
    }
    pcb_->mss = std::max(pcb_->mss, kLeastMss);  // lesson: tcp-least-mss
    fit_path(world_.paths.mtu_to(key.link, key.inside.address));
    world_.counters.tcp_flows_opened++;
    readable();
    writable_again();
  }
  if (pcb_) return;
  if (time_wait_) {
    world_.entered_time_wait(*this);
  } else {
    world_.closed(*this);
  }
}

// --- the end of the turn ---

// lwIP walks to the end of what is unacknowledged whenever it sends: it is shown that end alone.
void Connection::output() {
  tcp_seg *first = pcb_->unacked;
  if (first) {
    // Segments go from the front: the last one known is there until what it ended with is acknowledged.
    if (!unacked_last_ || !sequence_before(pcb_->lastack, unacked_end_)) unacked_last_ = first;
    while (unacked_last_->next) unacked_last_ = unacked_last_->next;
    unacked_end_ = lwip_ntohl(unacked_last_->tcphdr->seqno) + TCP_TCPLEN(unacked_last_);
    pcb_->unacked = unacked_last_;
  } else {
    unacked_last_ = nullptr;
  }
  tcp_output(pcb_);
  if (first) pcb_->unacked = first;
}

void Connection::flush() {
  received_.settle();
  settle_held();
  if (!pcb_) return;
  Time now = world_.timers.now();
  {
    LwipScope scope(world_, *this);
    open_window();
    report_duplicate();
    if (established_) transmit(now);
    bool owed = pcb_->rcv_nxt != acknowledged_;
    if (owed && acknowledges_now()) {
      tcp_ack_now(pcb_);
    } else if (owed && !acknowledge_timer_.armed()) {
      world_.timers.arm(acknowledge_timer_, now + kAcknowledgeDelay);
    }
    output();
    gap_ = pcb_->ooseq != nullptr;
    if (pcb_->rcv_nxt == acknowledged_) {
      acknowledge_timer_.cancel();
      acknowledge_overdue_ = false;
    }
    if (established_) note_sent(now);
    settle_out_of_order();
  }
  arm_timer(now);
}

// RFC 5681 section 4.2: at once for every second full segment, for a gap and what fills it. Less than a segment, as
// requests are, waits for its answer; a FIN waits for ours, which mostly follows when the host has heard of it.
bool Connection::acknowledges_now() const {
  uint32_t owed = pcb_->rcv_nxt - acknowledged_;
  bool narrow = pcb_->rcv_ann_right_edge - pcb_->rcv_nxt < 2u * pcb_->mss;  // the sender has to hear that it fills up
  bool waits = pcb_->state == ESTABLISHED || pcb_->state == CLOSE_WAIT;
  return owed >= pcb_->mss || gap_ || pcb_->ooseq || narrow || !waits || acknowledge_overdue_;
}

// lwIP's own time: openings, out-of-order data that waits too long; and what could not be sent, tried again.
bool Connection::lwip_needs_tick() const {
  if (pcb_->state < ESTABLISHED || pcb_->ooseq) return true;
  return (pcb_->unsent && persist_at_ == kNever) || (pcb_->rcv_nxt != acknowledged_ && !acknowledge_timer_.armed());
}

// Only connections that wait for something are visited by time; an idle one costs nothing. A timer that is armed for
// earlier than it must be stays: most flights are acknowledged long before their timeout.
void Connection::arm_timer(Time now) {
  if (!lwip_needs_tick()) {
    lwip_tick_at_ = kNever;
  } else if (lwip_tick_at_ == kNever) {
    lwip_tick_at_ = now + kLwipTick;
  }
  Time due = std::min({orphan_deadline_, lwip_tick_at_, persist_at_});
  if (sender_) due = std::min(due, sender_->deadline());
  if (due != kNever && (!timer_.armed() || due < timer_.deadline())) world_.timers.arm(timer_, due);
}

// Lets the peer send what the owner has made room for, and more than before when it fills its window within a second.
void Connection::open_window() {
  if (consumed_ > 0) {
    pcb_->rcv_wnd += static_cast<tcpwnd_size_t>(consumed_);
    growth_bytes_ += static_cast<uint32_t>(consumed_);
    consumed_ = 0;
  }
  if (growth_bytes_ >= receive_limit_) {
    uint32_t most = pcb_->flags & TF_WND_SCALE
                        ? static_cast<uint32_t>(std::min<size_t>(world_.config.tcp_buffer_size, TCP_WND))
                        : kInitialWindow;
    if (world_.timers.now() - growth_start_ < seconds(1) && receive_limit_ < most &&
        received_.size() < receive_limit_ / 2 && world_.held_limit(client) == SIZE_MAX) {
      uint32_t more = std::min(receive_limit_, most - receive_limit_);
      receive_limit_ += more;
      pcb_->rcv_wnd += more;
    }
    growth_bytes_ = 0;
    growth_start_ = world_.timers.now();
  }
  tcp_update_rcv_ann_wnd(pcb_);
  // An update of its own when the window has opened by a quarter, or from almost nothing (RFC 9293 section 3.8.6.2.2).
  uint32_t announced = pcb_->rcv_ann_right_edge - pcb_->rcv_nxt;
  uint32_t opened = pcb_->rcv_ann_wnd - announced;
  if (opened >= receive_limit_ / 4 || (announced < 2u * pcb_->mss && opened >= pcb_->mss)) tcp_ack_now(pcb_);
}

void Connection::on_timer(Timer &timer, Time now) {
  if (&timer == &acknowledge_timer_) {
    acknowledge_overdue_ = true;
    world_.touch(*this);
    return;
  }
  if (time_wait_) {
    end_time_wait();
    return;
  }
  if (now >= orphan_deadline_) {  // lesson: tcp-orphan-bounded
    reset();
    return;
  }
  if (!act_on_time(now)) {
    Stack::World &world = world_;
    fail(ETIMEDOUT);
    world.deliver();
    return;
  }
  Stack::World &world = world_;
  after();
  world.deliver();
}

// What is due by now; flush() does the rest. False: nobody has answered for too long.
bool Connection::act_on_time(Time now) {
  bool tick = lwip_tick_at_ <= now;
  bool persist = persist_at_ <= now;
  bool due = sender_ && sender_->deadline() <= now;
  if (!tick && !persist && !due) {
    // Armed for what has happened meanwhile.
    if (sender_ && sender_->idle() && persist_at_ == kNever) {
      if (sender_->delivered() < kForgotten) {
        handshake_ = sender_->round_trip().smoothed();
        sender_.reset();
      } else {
        sender_->release_memory();
      }
    }
    arm_timer(now);
    return true;
  }
  world_.touch(*this);
  LwipScope scope(world_, *this);
  if (tick) {
    lwip_tick_at_ = kNever;
    if (established_) hold_lwip(*pcb_);
    if (pcb_->state < ESTABLISHED || pcb_->ooseq) access_slow_tick(pcb_, lwip_ticks(now));
    if (!access_active()) return true;
  }
  if (persist) {
    if (++persists_ > kMostPersists) return false;
    if (sender_->round_trip().timeout() * (1 << persist_backoff_) < kMostPersist) persist_backoff_++;
    persist_at_ = now + std::min<Duration>(sender_->round_trip().timeout() * (1 << persist_backoff_), kMostPersist);
    // A segment from before the window is answered with what the window is (RFC 9293 section 3.10.7.4).
    if (pcb_->unsent && pcb_->snd_wnd > 0)
      tcp_split_unsent_seg(pcb_, static_cast<u16_t>(std::min<uint32_t>(pcb_->snd_wnd, pcb_->mss)));
    send_alone(pcb_->lastack - 1, 0, 0, 0);
  }
  if (!due) return true;
  switch (sender_->expired(now)) {
    case Sender::Due::nothing:
      break;
    case Sender::Due::probe:
      // RFC 8985 section 7.3: with new data, if there is any that the peer would take; else with the last.
      if (sending_.waiting() > 0 && peer_room() >= pcb_->mss && !pcb_->unsent) {
        hold_lwip(*pcb_);
        give(std::min<size_t>(sending_.waiting(), pcb_->mss));
        output();
        note_sent(now);
        sender_->probed(false, now);
      } else {
        Sender::Range range = sender_->last_packet(now);
        resend(range.from, range.to);
        sender_->probed(true, now);
      }
      break;
    case Sender::Due::timeout:
      return sender_->timed_out(now);
  }
  return true;
}

// --- the end ---

void Connection::end_time_wait() {
  {
    LwipScope scope(world_, *this);
    tcp_abort(time_wait_);  // silent in this state
  }
  world_.closed(*this);
}

void Connection::reset() {
  if (tcp_pcb *pcb = pcb_) {
    LwipScope scope(world_, *this);
    tcp_err(pcb, nullptr);
    // A SYN that nobody answered is not taken back: kernels are silent here, too.
    tcp_abandon(pcb, pcb->state != SYN_SENT);
    world_.pending();
  } else if (time_wait_) {
    end_time_wait();
    return;
  }
  world_.closed(*this);
}

void Connection::fail(int error) {
  if (tcp_pcb *pcb = pcb_ ? pcb_ : time_wait_) {
    LwipScope scope(world_, *this);
    tcp_err(pcb, nullptr);
    tcp_abandon(pcb, 0);
  }
  error_ = error;
  readable();
  writable_again();
  world_.closed(*this);
}

// --- telling the owner ---

void Connection::readable() {
  readable_event_ = true;
  world_.has_event(*this);
}

void Connection::writable_again() {
  if (!wants_writable_) return;
  const size_t limit = send_limit();
  if (pcb_ && error_ == 0 && limit - std::min(limit, sending_.size()) < std::min(limit / 4, kRoomWorthTelling)) return;
  wants_writable_ = false;
  writable_event_ = true;
  world_.has_event(*this);
}

// --- what ICMP says of it, and its end ---

bool Connection::awaits_answer_to(uint32_t sequence) const {
  return pcb_ && pcb_->state == SYN_SENT && sequence == pcb_->snd_nxt - 1;
}

bool Connection::has_outstanding(uint32_t sequence) const {
  return pcb_ && !sequence_before(sequence, pcb_->lastack) && sequence_before(sequence, pcb_->snd_nxt);
}

// What is outstanding in larger packets is lost; the sender's probe or timer finds out, and resend() cuts it anew.
void Connection::fit_path(uint16_t mtu) {
  const size_t headers = (key.is_v4() ? sizeof(Ipv4Header) : sizeof(Ipv6Header)) + sizeof(TcpHeader);
  const u16_t mss = static_cast<u16_t>(mtu - headers);
  if (pcb_ && mss < pcb_->mss) pcb_->mss = mss;
}

void Connection::give_up() {
  if (is_over_) {
    world_.destroy(*this);
  } else {
    reset();
  }
}

}  // namespace slipgate
