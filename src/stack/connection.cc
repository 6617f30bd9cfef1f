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
  static err_t received(void *argument, tcp_pcb *, pbuf *chain, err_t) {
    Connection &connection = of(argument);
    if (chain) {
      connection.received_.append(chain);
    } else {
      connection.peer_finished_ = true;
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

bool Connection::open_passive(pbuf *syn) {
  {
    LwipScope scope(world_, *this);
    ip_addr_t from = to_lwip(key.inside.address);
    ip_addr_t to = to_lwip(key.outside.address);
    access_tcp_accept(syn, &from, &to, key.outside.port);
    if (tcp_pcb *pcb = access_active()) {
      adopt(pcb);
      pcb->rcv_wnd = pcb->rcv_ann_wnd = kInitialWindow;
      pcb->rcv_ann_right_edge = pcb->rcv_nxt + kInitialWindow;
    }
  }
  if (!pcb_) return false;
  world_.touch(*this);
  return true;
}

bool Connection::open_active() {
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

void Connection::input(pbuf *segment) {
  world_.touch(*this);
  {
    LwipScope scope(world_, *this);
    ip_addr_t from = to_lwip(key.inside.address);
    ip_addr_t to = to_lwip(key.outside.address);
    if (pcb_ && pcb_->flags & TF_SACK) {
      const TcpHeader &header = *static_cast<const TcpHeader *>(segment->payload);
      TcpOptions options;
      if (header.header_length() > sizeof(TcpHeader)) {
        options = parse_tcp_options({static_cast<const uint8_t *>(segment->payload) + sizeof(TcpHeader),
                                     header.header_length() - sizeof(TcpHeader)});
      }
      if (options.sack_count > 0 && !recovery_ && pcb_->unacked) recovery_ = std::make_unique<Recovery>();
      if (recovery_) recovery_->before_input(*pcb_, options.sack(), world_.timers.now());
    }
    uint32_t acknowledged_before = pcb_ ? pcb_->lastack : 0;
    access_tcp_input(segment, &from, &to);
    if (tcp_pcb *pcb = access_active()) {
      // lwIP acknowledges every second segment at once; flush() does it once a turn.
      if (!(pcb->flags & TF_ACK_NOW)) tcp_clear_flags(pcb, TF_ACK_DELAY);
      if (pcb->lastack != acknowledged_before) progressed(*pcb);
      recover(*pcb);
    }
  }
  after();
}

// --- what is lost on the way out ---

// The client acknowledged something new: a round trip is measured at most once per flight, and never over a repetition
// (RFC 6298 section 3).
void Connection::progressed(const tcp_pcb &pcb) {
  Time now = world_.timers.now();
  active_at_ = now;
  if (!timing_ || sequence_before(pcb.lastack, timed_sequence_)) return;
  timing_ = false;
  Duration sample = now - timed_at_;
  round_trip_ = round_trip_ == Duration{} ? sample : (round_trip_ * 7 + sample) / 8;
}

void Connection::recover(tcp_pcb &pcb) {
  if (!recovery_) return;
  recovery_->act(pcb, world_.timers.now(), round_trip_, [&](uint32_t from, uint32_t to) { resend(pcb, from, to); });
  if (recovery_->idle()) recovery_.reset();
}

// Sends bytes again that lwIP sent once, from the send buffer and round lwIP.
void Connection::resend(tcp_pcb &pcb, uint32_t from, uint32_t to) {
  timing_ = false;
  uint32_t given = static_cast<uint32_t>(sending_.size() - sending_.waiting());
  uint32_t data_end = given_up_to_;
  uint32_t data_begin = data_end - given;
  bool fin = sequence_before(data_end, to);
  uint32_t end = fin ? data_end : to;
  if (sequence_before(from, data_begin) || sequence_before(end, from)) return;
  size_t size = end - from;
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
    header.sequence = from;
    header.acknowledgment = pcb.rcv_nxt;
    header.data_offset = 5 << 4;
    header.flags = static_cast<uint8_t>(TcpHeader::kAck | TcpHeader::kPsh | (fin ? TcpHeader::kFin : 0));
    header.window = static_cast<uint16_t>(std::min<uint32_t>(RCV_WND_SCALE(&pcb, pcb.rcv_ann_wnd), 0xffff));
    header.checksum = 0;
    header.urgent_pointer = 0;
    sending_.copy(from - data_begin, {packet.data() + transport + sizeof(TcpHeader), size});
    uint16_t sum = add_sums(ones_complement_sum(packet.bytes().subspan(transport)),
                            pseudo_header_sum(fields.source, fields.destination, fields.protocol,
                                              static_cast<uint32_t>(sizeof(TcpHeader) + size)));
    header.checksum = checksum_of(sum);
    pcb.rcv_ann_right_edge = pcb.rcv_nxt + pcb.rcv_ann_wnd;
    acknowledged_ = pcb.rcv_nxt;
  }
  world_.pending();
  world_.output.send(std::move(packet), key.link);
}

// What lwIP made of it: opened, TIME_WAIT, gone. May destroy the connection.
void Connection::after() {
  if (pcb_ && !established_ && pcb_->state >= ESTABLISHED) {
    established_ = true;
    pcb_->cwnd = std::max<uint32_t>(pcb_->cwnd, kInitialSegments * pcb_->mss);
    growth_start_ = world_.timers.now();
    world_.counters.tcp_flows_opened++;
    readable();
    writable_again();
  }
  if (pcb_) {
    bound_out_of_order();
  } else if (time_wait_) {
    world_.entered_time_wait(*this);
  } else {
    world_.closed(*this);
  }
}

void Connection::bound_out_of_order() {
  if (!pcb_->ooseq && out_of_order_ == 0) return;
  size_t bytes = 0;
  for (tcp_seg *segment = pcb_->ooseq; segment; segment = segment->next) bytes += segment->len;
  Stack::World::Client &owner = world_.client(client);
  owner.out_of_order += bytes - out_of_order_;
  out_of_order_ = bytes;
  if (owner.out_of_order > Stack::World::kMostOutOfOrderPerClient) {  // lesson: tcp-out-of-order-bounded
    // All of this connection's: the peer still has it, and sends it again.
    tcp_free_ooseq(pcb_);
    owner.out_of_order -= out_of_order_;
    out_of_order_ = 0;
    world_.counters.drop(DropReason::out_of_order_limit);
  }
  world_.forget_client(client);
}

// --- the end of the turn ---

// The same for a segment out of order as ReceiveQueue does for those in order: lwIP needs its header, too.
static void settle_segment(tcp_seg &segment) {
  const Packet *packet = PacketPbufs::packet_of(segment.p);
  if (!packet || size_t{segment.len} * 4 >= packet->held_bytes()) return;
  pbuf *copy = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(sizeof(tcp_hdr) + segment.p->tot_len), PBUF_RAM);
  if (!copy) return;
  std::memcpy(copy->payload, segment.tcphdr, sizeof(tcp_hdr));
  segment.tcphdr = static_cast<tcp_hdr *>(copy->payload);
  pbuf_remove_header(copy, sizeof(tcp_hdr));
  pbuf_copy_partial(segment.p, copy->payload, copy->len, 0);
  pbuf_free(segment.p);
  segment.p = copy;
}

void Connection::flush() {
  received_.settle();
  if (!pcb_) return;
  {
    LwipScope scope(world_, *this);
    open_window();
    give_data();
    bool owed = pcb_->rcv_nxt != acknowledged_;
    if (owed && acknowledges_now()) {
      tcp_ack_now(pcb_);
    } else if (owed && !acknowledge_timer_.armed()) {
      world_.timers.arm(acknowledge_timer_, world_.timers.now() + kAcknowledgeDelay);
    }
    tcp_output(pcb_);
    gap_ = pcb_->ooseq != nullptr;
    if (pcb_->rcv_nxt == acknowledged_) {
      acknowledge_timer_.cancel();
      acknowledge_overdue_ = false;
    }
    if (pcb_->snd_nxt != sent_up_to_) {
      sent_up_to_ = pcb_->snd_nxt;
      active_at_ = world_.timers.now();
      if (!timing_) {
        timing_ = true;
        timed_sequence_ = sent_up_to_;
        timed_at_ = active_at_;
      }
    }
    for (tcp_seg *segment = pcb_->ooseq; segment; segment = segment->next) settle_segment(*segment);
  }
  if (needs_timer() && !timer_.armed()) world_.timers.arm(timer_, world_.timers.now() + kLwipTick);
}

// RFC 5681 section 4.2: at once for every second full segment, for a gap and what fills it, and for a FIN. Less than a
// segment, as requests are, waits for its answer.
bool Connection::acknowledges_now() const {
  uint32_t owed = pcb_->rcv_nxt - acknowledged_;
  bool narrow = pcb_->rcv_ann_right_edge - pcb_->rcv_nxt < 2u * pcb_->mss;  // the sender has to hear that it fills up
  return owed >= pcb_->mss || peer_finished_ || gap_ || pcb_->ooseq || narrow || pcb_->state != ESTABLISHED ||
         acknowledge_overdue_;
}

// Only connections for which lwIP has something to wait for are visited by time; an idle one costs nothing.
bool Connection::needs_timer() const {
  if (pcb_->unacked || pcb_->unsent || pcb_->ooseq || pcb_->persist_backoff > 0) return true;
  if (pcb_->rcv_nxt != acknowledged_ || orphan_deadline_ != kNever) return true;
  return pcb_->state != ESTABLISHED && pcb_->state != CLOSE_WAIT && pcb_->state != FIN_WAIT_2;
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
        received_.size() < receive_limit_ / 2) {
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

// Gives lwIP what the windows let out now and a little more: its queue of unsent segments is walked at every write, and
// it asks a peer with a closed window only when something is in it.
void Connection::give_data() {
  if (pcb_->state != ESTABLISHED && pcb_->state != CLOSE_WAIT) return;
  uint32_t mss = pcb_->mss;
  uint32_t window = std::min<uint32_t>(pcb_->snd_wnd, pcb_->cwnd) + 4 * mss;
  uint32_t outstanding = pcb_->snd_lbb - pcb_->lastack;
  size_t amount = std::min<size_t>(sending_.waiting(), window > outstanding ? window - outstanding : 0);
  if (amount < sending_.waiting()) amount -= amount % mss;
  while (amount > 0) {
    Bytes piece = sending_.next(std::min<size_t>(amount, 0xffff));
    u8_t flags = sending_.waiting() > piece.size() ? TCP_WRITE_FLAG_MORE : 0;
    if (tcp_write(pcb_, piece.data(), static_cast<u16_t>(piece.size()), flags) != ERR_OK) break;
    sending_.give(piece.size());
    given_up_to_ = pcb_->snd_lbb;
    amount -= piece.size();
  }
  // By tcp_shutdown(), never tcp_close(): that resets when the window is not at its largest.
  if (fin_wanted_ && !fin_given_ && sending_.waiting() == 0 && tcp_shutdown(pcb_, 0, 1) == ERR_OK) fin_given_ = true;
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
  if (!has_owner()) {
    if (pcb_->lastack != last_progress_ack_) {
      last_progress_ack_ = pcb_->lastack;
      orphan_deadline_ = now + kOrphanTimeout;
    } else if (now >= orphan_deadline_) {  // lesson: tcp-orphan-bounded
      reset();
      return;
    }
  }
  world_.touch(*this);
  {
    LwipScope scope(world_, *this);
    access_slow_tick(pcb_, lwip_ticks(now));
    if (tcp_pcb *pcb = access_active()) {
      if (pcb->flags & TF_RTO) timing_ = false;
      // Two round trips without an answer: ask, before lwIP's timer sends everything again.
      if (pcb->flags & TF_SACK && pcb->unacked && established_ &&
          now - active_at_ >= std::max(2 * round_trip_, kLwipTick)) {
        if (!recovery_) recovery_ = std::make_unique<Recovery>();
        recovery_->probe(*pcb, [&](uint32_t from, uint32_t to) { resend(*pcb, from, to); });
      }
      recover(*pcb);
      tcp_output(pcb);
    }
  }
  if (pcb_ && needs_timer()) world_.timers.arm(timer_, now + kLwipTick);
  Stack::World &world = world_;
  after();
  world.deliver();
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
  if (pcb_ && error_ == 0 && send_limit() - std::min(send_limit(), sending_.size()) < send_limit() / 4) return;
  wants_writable_ = false;
  writable_event_ = true;
  world_.has_event(*this);
}

void Connection::deliver() {
  Stack::World &world = world_;
  if (connecting_ && (established_ || error_ != 0)) {
    Stack::Connecting *connecting = std::exchange(connecting_, nullptr);
    Stack::ConnectDone done = std::move(connecting->done_);
    connecting->connection_ = nullptr;
    if (error_ == 0) {
      done(make_stream(), 0);
    } else {
      done(nullptr, error_);
      // `done` had no stream to destroy the connection with.
      if (world.delivering(*this) && is_over_ && !has_owner()) world.destroy(*this);
    }
    if (!world.delivering(*this)) return;
  }
  if (std::exchange(readable_event_, false) && watcher_) watcher_->on_readable();
  if (!world.delivering(*this)) return;
  if (std::exchange(writable_event_, false) && watcher_) watcher_->on_writable();
}

// --- what the owner does ---

Peeked Connection::peek(size_t most) {
  Peeked result;
  if (!received_.empty()) {
    if (!pieces_) pieces_ = std::make_unique<ReceiveQueue::Pieces>();
    size_t count = received_.peek(most, *pieces_);
    result.pieces = std::span(pieces_->data(), count);
    for (const iovec &piece : result.pieces) result.size += piece.iov_len;
  } else if (error_ != 0) {
    result.error = error_;
  } else {
    result.end = peer_finished_;
  }
  return result;
}

void Connection::consume(size_t size) {
  received_.consume(size);
  consumed_ += size;
  if (received_.empty()) pieces_.reset();
  if (pcb_) world_.touch(*this);
}

// Twice what may be in flight, so that the window stays full while the owner is told and writes more.
size_t Connection::send_limit() const {
  size_t most = std::min<size_t>(world_.config.tcp_buffer_size, TCP_SND_BUF);
  size_t in_flight = pcb_ ? std::min<size_t>(pcb_->cwnd, pcb_->snd_wnd) : 0;
  return std::min(most, std::max(kInitialSendBuffer, 2 * in_flight));
}

size_t Connection::writable() {
  size_t room = 0;
  if (write_error() == 0) room = send_limit() - std::min(send_limit(), sending_.size());
  if (room == 0) wants_writable_ = true;
  return room;
}

int Connection::write_error() const {
  if (error_ != 0) return error_;
  return !pcb_ || fin_wanted_ ? EPIPE : 0;
}

Result<size_t> Connection::write_some(std::span<const iovec> pieces) {
  if (int error = write_error()) return Error::from_errno(error, "cannot write");
  size_t offered = 0;
  for (const iovec &piece : pieces) offered += piece.iov_len;
  size_t count = std::min(offered, writable());
  if (count < offered) wants_writable_ = true;
  if (count == 0) return size_t{0};
  sending_.append(pieces, count);
  world_.touch(*this);
  return count;
}

void Connection::shutdown_write() {
  fin_wanted_ = true;
  if (pcb_) world_.touch(*this);
}

void Connection::watch(StreamWatcher *watcher) {
  watcher_ = watcher;
  if (!watcher) return;
  // What came while nobody watched.
  if (!received_.empty() || peer_finished_ || error_ != 0) {
    readable();
    world_.pending();
  }
}

bool Connection::awaits_answer_to(uint32_t sequence) const {
  return pcb_ && pcb_->state == SYN_SENT && sequence == pcb_->snd_nxt - 1;
}

void Connection::give_up() {
  if (is_over_) {
    world_.destroy(*this);
  } else {
    reset();
  }
}

void Connection::stream_gone() {
  stream_ = nullptr;
  watcher_ = nullptr;
  if (is_over_) {
    world_.destroy(*this);
  } else if (time_wait_) {
    received_.clear();
  } else if (fin_wanted_ && peer_finished_ && received_.empty()) {
    // Finished both ways: what is left goes out in its own time.
    orphan_deadline_ = world_.timers.now() + kOrphanTimeout;
    last_progress_ack_ = pcb_->lastack;
    world_.touch(*this);
  } else {
    reset();
  }
}

TcpStream::~TcpStream() {
  if (connection_) connection_->stream_gone();
}

Peeked TcpStream::peek(size_t most) {
  if (connection_) return connection_->peek(most);
  Peeked gone;
  gone.error = ECONNABORTED;
  return gone;
}

void TcpStream::consume(size_t size) {
  if (connection_) connection_->consume(size);
}

size_t TcpStream::writable() {
  return connection_ ? connection_->writable() : 0;
}

Result<size_t> TcpStream::write_some(std::span<const iovec> pieces) {
  if (connection_) return connection_->write_some(pieces);
  return Error::from_errno(ECONNABORTED, "cannot write");
}

void TcpStream::shutdown_write() {
  if (connection_) connection_->shutdown_write();
}

void TcpStream::abort() {
  if (connection_) connection_->reset();
}

void TcpStream::watch(StreamWatcher *watcher) {
  if (connection_) connection_->watch(watcher);
}

}  // namespace slipgate
