// A connection as its owner sees it: a stream of bytes each way. connection.cc has the side of lwIP and the wire.
#include <access.h>

#include <algorithm>
#include <cerrno>

#include "stack/connection.h"
#include "stack/world.h"

namespace slipgate {

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

size_t Connection::most_send_buffer() const {
  return std::min<size_t>(world_.config.tcp_buffer_size, TCP_SND_BUF);
}

// Twice what may be in flight, so that the window stays full while the owner is told and writes more; and what has left
// the network but must be kept, behind a hole that is being repaired.
size_t Connection::send_limit() const {
  size_t limit = 0;
  if (pcb_ && sender_) {
    limit = 2 * std::min<size_t>(sender_->window(), pcb_->snd_wnd) + sender_->outstanding() - sender_->in_flight();
  }
  return std::min(most_send_buffer(), std::max(kInitialSendBuffer, limit));
}

size_t Connection::writable() {
  size_t room = 0;
  if (write_error() == 0) {
    const size_t limit = std::min(send_limit(), world_.held_limit(client));
    room = limit - std::min(limit, sending_.size());
  }
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

// Only where much is on its way already: a request's or an answer's few bytes deserve a small block.
std::span<const iovec> Connection::room(size_t most) {
  constexpr size_t kStream = 16 * 1024;
  if (sending_.size() < kStream) return {};
  most = std::min(most, writable());
  return most > 0 ? sending_.room(most) : std::span<const iovec>();
}

void Connection::wrote(size_t size) {
  sending_.fill(size);
  if (size > 0) world_.touch(*this);
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

void Connection::stream_gone() {
  stream_ = nullptr;
  watcher_ = nullptr;
  if (is_over_) {
    world_.destroy(*this);
  } else if (time_wait_) {
    received_.clear();
  } else if (fin_wanted_ && peer_finished_ && received_.empty()) {
    // Finished both ways: what is left goes out in its own time.
    if (!world_.add_orphan(*this)) {  // lesson: tcp-orphans-per-client
      reset();
      return;
    }
    orphan_deadline_ = world_.timers.now() + kOrphanTimeout;
    orphan_end_ = world_.timers.now() + kLongestOrphan;
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

std::span<const iovec> TcpStream::room(size_t most) {
  return connection_ ? connection_->room(most) : std::span<const iovec>();
}

void TcpStream::wrote(size_t size) {
  if (connection_) connection_->wrote(size);
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
