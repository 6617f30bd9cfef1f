#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "dns/upstream.h"
#include "io/task.h"
#include "io/tls_stream.h"

namespace slipgate::dns {

namespace {

constexpr size_t kLengthSize = 2;               // RFC 1035 section 4.2.2
constexpr size_t kPiece = 16 << 10;             // bytes looked at in one go
constexpr Duration kConnect = seconds(5);       // for TCP, and again for TLS
constexpr Duration kPatience = seconds(5);      // for an answer; a connection that says nothing for so long is dead
constexpr int kMostTries = 2;                   // connections that one question is sent over
constexpr Duration kIdle = seconds(10);         // without a question; then the connection ends
constexpr Duration kLinger = seconds(2);        // for the server's own end, after ours
constexpr Duration kPause = milliseconds(500);  // when no server can be had, until they are tried again

// RFC 8467 section 4.1: questions are padded to multiples of this, so that their length says less. The option is of
// RFC 7830.
constexpr size_t kPadding = 128;
constexpr uint16_t kPaddingOption = 12;
constexpr size_t kOptionHead = 4;

uint16_t random_id() {
  uint16_t id = 0;
  while (getrandom(&id, sizeof(id), 0) != sizeof(id)) {
  }
  return id;
}

// The message with its length in front, and padded when it ends with an OPT record (which then has no options).
std::vector<uint8_t> framed(Bytes query, uint16_t id) {
  const Header *header = view_as<Header>(query);
  bool has_opt = header && header->additionals != 0;
  size_t padding = 0;
  if (has_opt) padding = (kPadding - (query.size() + kOptionHead) % kPadding) % kPadding;
  size_t size = query.size() + (has_opt ? kOptionHead + padding : 0);
  std::vector<uint8_t> frame(kLengthSize + size);
  ByteWriter writer{MutableBytes(frame)};
  writer.u16(static_cast<uint16_t>(size));
  writer.u16(id);
  writer.put(query.subspan(sizeof(id), query.size() - sizeof(id) - (has_opt ? 2 : 0)));
  if (!has_opt) return frame;
  writer.u16(static_cast<uint16_t>(kOptionHead + padding));
  writer.u16(kPaddingOption);
  writer.u16(static_cast<uint16_t>(padding));
  return frame;
}

// One question under way.
struct Waiting {
  uint16_t id;
  std::vector<uint8_t> frame;
  Upstream::Done done;
  Time sent;  // last
  int tries = 0;
};

class TlsUpstream final : public Upstream, StreamWatcher, TimerTarget, TurnEnd {
 public:
  TlsUpstream(Loop &loop, std::vector<TlsServer> servers, ResolveHost resolve, DialStream dial)
      : loop_(loop), servers_(std::move(servers)), resolve_(std::move(resolve)), dial_(std::move(dial)) {
    Result<TlsContext> context = TlsContext::client_of_system();
    if (!context) log::error("dns: no TLS: {}", context.error().text);
    if (context) context_ = std::make_shared<TlsContext>(std::move(*context));
  }
  ~TlsUpstream() override {
    alive_.reset();
    drop();
    loop_.forget(*this);
    by_id_.clear();
    for (Waiting &waiting : std::exchange(waiting_, {})) waiting.done({.abandoned = true});
  }

  void ask(Bytes query, Done done) override;

 private:
  Task<> connect(std::weak_ptr<void> alive);
  Task<Result<StreamPtr>> reach(TlsServer server);
  void connected(StreamPtr stream);
  void no_server();
  void send(Waiting &waiting);
  void lost();
  void drop();
  void fail(std::list<Waiting>::iterator waiting);
  void take_answers();
  void arm();

  void on_readable() override;
  void on_writable() override { loop_.at_turn_end(*this, 0); }
  void on_timer(Timer &, Time now) override;
  void on_turn_end() override;  // sends what gathered in the turn

  Loop &loop_;
  const std::vector<TlsServer> servers_;
  const ResolveHost resolve_;
  const DialStream dial_;
  std::shared_ptr<TlsContext> context_;
  size_t first_ = 0;  // of servers_: where the next connection goes

  std::list<Waiting> waiting_;  // by the time when they were sent
  std::unordered_map<uint16_t, std::list<Waiting>::iterator> by_id_;
  bool connecting_ = false;
  Time pause_until_{};
  bool complained_ = false;  // about all servers, since the last that answered

  StreamPtr stream_;
  std::vector<uint8_t> input_, output_;
  bool closing_ = false;  // our end was sent
  Time heard_{};          // the last answer, or the connection's begin
  bool useful_ = false;   // this connection has brought an answer
  Timer timer_{*this};
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

void TlsUpstream::ask(Bytes query, Done done) {
  bool hopeless = !context_ || loop_.now() < pause_until_ || by_id_.size() > UINT16_MAX / 2;
  if (hopeless || query.size() < sizeof(Header)) return done({});
  if (closing_) drop();
  uint16_t id = random_id();
  while (by_id_.contains(id)) id++;
  waiting_.push_back({id, framed(query, id), std::move(done), loop_.now()});
  by_id_.emplace(id, std::prev(waiting_.end()));
  if (stream_) {
    send(waiting_.back());
    if (!timer_.armed() || waiting_.size() == 1) arm();
  } else if (!std::exchange(connecting_, true)) {
    spawn(loop_, connect(alive_));
  }
}

// To the first server that can be had, beginning with the one that did well.
Task<> TlsUpstream::connect(std::weak_ptr<void> alive) {
  if (alive.expired()) co_return;  // a task begins later than it is spawned
  std::string failures;
  for (size_t i = 0; i < servers_.size(); i++) {
    TlsServer server = servers_[first_];
    Result<StreamPtr> stream = co_await reach(server);
    if (alive.expired()) co_return;
    if (stream) {
      connected(std::move(*stream));
      co_return;
    }
    failures += fmt::format("{}tls://{}: {}", failures.empty() ? "" : "; ", server.host, stream.error().text);
    first_ = (first_ + 1) % servers_.size();
  }
  if (!std::exchange(complained_, true)) log::warn("dns: no upstream: {}", failures);
  no_server();
}

// Touches nothing of ours after it has waited: we may have gone.
Task<Result<StreamPtr>> TlsUpstream::reach(TlsServer server) {
  Loop &loop = loop_;
  std::shared_ptr<TlsContext> context = context_;
  DialStream dial = dial_;
  std::vector<IpAddress> addresses;
  if (std::optional<IpAddress> literal = IpAddress::parse(server.host)) {
    addresses = {*literal};
  } else {
    Result<std::vector<IpAddress>> found = co_await resolve_(server.host);
    if (!found) co_return found.error();
    addresses = std::move(*found);
  }
  Error last{EHOSTUNREACH, "no address"};
  for (const IpAddress &address : addresses) {
    Result<StreamPtr> carrier = co_await dial(Endpoint{address, server.port}, kConnect);
    if (carrier) carrier = co_await make_tls_stream(loop, *context, std::move(*carrier), server.name, kConnect);
    if (carrier) co_return std::move(*carrier);
    last = carrier.error();
  }
  co_return last;
}

void TlsUpstream::connected(StreamPtr stream) {
  connecting_ = false;
  stream_ = std::move(stream);
  stream_->watch(this);
  heard_ = loop_.now();
  useful_ = false;
  for (Waiting &waiting : waiting_) send(waiting);
  on_readable();  // it may have ended already
}

void TlsUpstream::no_server() {
  connecting_ = false;
  pause_until_ = loop_.now() + kPause;
  // Those that are asked from within these calls end at once: the pause has begun.
  while (!waiting_.empty()) fail(waiting_.begin());
}

void TlsUpstream::send(Waiting &waiting) {
  output_.insert(output_.end(), waiting.frame.begin(), waiting.frame.end());
  waiting.sent = loop_.now();
  waiting.tries++;
  loop_.at_turn_end(*this, 0);
}

void TlsUpstream::fail(std::list<Waiting>::iterator waiting) {
  Done done = std::move(waiting->done);
  by_id_.erase(waiting->id);
  waiting_.erase(waiting);
  done({});
}

void TlsUpstream::drop() {
  if (stream_) stream_->watch(nullptr);
  stream_.reset();
  input_.clear();
  output_.clear();
  closing_ = false;
  timer_.cancel();
}

// The connection is no more: what waits is asked again over another.
void TlsUpstream::lost() {
  if (!useful_) first_ = (first_ + 1) % servers_.size();
  drop();
  connecting_ = true;  // nobody who is asked meanwhile begins one
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    auto next = std::next(waiting);
    if (waiting->tries >= kMostTries) fail(waiting);
    waiting = next;
  }
  connecting_ = !waiting_.empty();
  if (connecting_) spawn(loop_, connect(alive_));
}

void TlsUpstream::on_readable() {
  for (;;) {
    Peeked peeked = stream_->peek(kPiece);
    if (peeked.end || peeked.error) {
      if (!waiting_.empty()) return lost();
      return drop();
    }
    if (peeked.size == 0) break;
    for (const iovec &piece : peeked.pieces) {
      const uint8_t *bytes = static_cast<const uint8_t *>(piece.iov_base);
      input_.insert(input_.end(), bytes, bytes + piece.iov_len);
    }
    stream_->consume(peeked.size);
    take_answers();
  }
  arm();
}

void TlsUpstream::take_answers() {
  size_t taken = 0;
  for (;;) {
    ByteReader reader{Bytes(input_).subspan(taken)};
    Bytes message = reader.take(reader.u16());
    if (!reader.ok()) break;
    taken += kLengthSize + message.size();
    const Header *header = view_as<Header>(message);
    auto found = header ? by_id_.find(header->id) : by_id_.end();
    if (found == by_id_.end()) continue;  // too late, or nobody's
    heard_ = loop_.now();
    useful_ = true;
    complained_ = false;
    Done done = std::move(found->second->done);
    waiting_.erase(found->second);
    by_id_.erase(found);
    done({.message = message});
  }
  input_.erase(input_.begin(), input_.begin() + static_cast<ptrdiff_t>(taken));
}

// Whole questions, and each a piece of its own, which TLS makes a record of: there are servers (NSD 4.6) that wait for
// more bytes to come while the second question of a record is already theirs.
void TlsUpstream::on_turn_end() {
  size_t sent = 0;
  // Room for a piece with all that TLS adds: what is written is taken whole.
  while (stream_ && sent < output_.size() && stream_->writable() >= 2 * kPiece) {
    std::array<iovec, 64> pieces;
    size_t count = 0, size = 0;
    while (count < pieces.size() && size < kPiece && sent + size < output_.size()) {
      ByteReader reader{Bytes(output_).subspan(sent + size)};
      size_t frame = kLengthSize + reader.u16();
      pieces[count++] = {output_.data() + sent + size, frame};
      size += frame;
    }
    if (!stream_->write_some({pieces.data(), count})) break;  // on_readable() will be told why
    sent += size;
  }
  output_.erase(output_.begin(), output_.begin() + static_cast<ptrdiff_t>(sent));
}

void TlsUpstream::arm() {
  if (!stream_) return;
  Time at = loop_.now() + (closing_ ? kLinger : kIdle);
  if (!waiting_.empty()) at = waiting_.front().sent + kPatience;
  loop_.timers().arm(timer_, at);
}

void TlsUpstream::on_timer(Timer &, Time now) {
  if (!stream_) return;
  if (waiting_.empty()) {
    if (closing_) return drop();
    closing_ = true;
    stream_->shutdown_write();
    return arm();
  }
  while (!waiting_.empty() && now - waiting_.front().sent >= kPatience) {
    if (heard_ <= waiting_.front().sent) return lost();
    fail(waiting_.begin());
  }
  arm();
}

}  // namespace

std::unique_ptr<Upstream> make_tls_upstream(Loop &loop, std::vector<TlsServer> servers, ResolveHost resolve,
                                            DialStream dial) {
  return std::make_unique<TlsUpstream>(loop, std::move(servers), std::move(resolve), std::move(dial));
}

}  // namespace slipgate::dns
