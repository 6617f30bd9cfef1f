#include "host/tcp.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <cerrno>
#include <string>
#include <vector>

#include "io/relay.h"
#include "io/socket_address.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

using Dialled = Result<StreamPtr, DialError>;

struct Reader final : StreamWatcher {
  explicit Reader(Stream &from) : stream(from) { stream.watch(this); }
  void on_readable() override {
    readable++;
    for (;;) {
      Peeked peeked = stream.peek(chunk);
      ended |= peeked.end;
      if (peeked.error) error = peeked.error;
      if (peeked.size == 0) return;
      text.append(static_cast<const char *>(peeked.pieces[0].iov_base), peeked.size);
      stream.consume(peeked.size);
    }
  }
  void on_writable() override { writable++; }

  Stream &stream;
  size_t chunk = 100000;
  std::string text;
  bool ended = false;
  int error = 0;
  int readable = 0, writable = 0;
};

size_t put(Stream &stream, std::string_view text) {
  iovec piece{const_cast<char *>(text.data()), text.size()};
  Result<size_t> written = stream.write_some({&piece, 1});
  return written ? *written : 0;
}

// A socket of the other side, blocking.
struct Peer {
  Fd descriptor;

  void send(std::string_view text) {
    REQUIRE(::send(descriptor.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  void reset() {
    linger linger{1, 0};
    ::setsockopt(descriptor.get(), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    descriptor.reset();
  }
};

// A listener on loopback, and a dialled stream to it with its other end.
struct Pair {
  explicit Pair(const char *address = "127.0.0.1") {
    Result<std::unique_ptr<TcpListener>> listening =
        TcpListener::listen(loop, {*IpAddress::parse(address), 0},
                            [this](Fd accepted, Endpoint) { peer.descriptor = std::move(accepted); });
    REQUIRE(listening);
    listener = std::move(*listening);
    std::optional<Dialled> dialled;
    test::spawn(loop, dial_tcp(loop, listener->local()), &dialled);
    REQUIRE(test::run_until(loop, [&] { return dialled && peer.descriptor; }));
    REQUIRE(*dialled);
    stream = std::move(**dialled);
    int flags = ::fcntl(peer.descriptor.get(), F_GETFL);
    ::fcntl(peer.descriptor.get(), F_SETFL, flags & ~O_NONBLOCK);
  }

  Loop loop;
  std::unique_ptr<TcpListener> listener;
  Peer peer;
  StreamPtr stream;
};

Dialled dial(Loop &loop, const Endpoint &to, DialOptions options = {}) {
  std::optional<Dialled> result;
  test::spawn(loop, dial_tcp(loop, to, options), &result);
  REQUIRE(test::run_until(loop, [&] { return result.has_value(); }));
  return std::move(*result);
}

// A listener whose backlog is full: further SYNs are not answered.
struct Unanswering {
  Unanswering() {
    listener = Fd(::socket(AF_INET, SOCK_STREAM, 0));
    SocketAddress any(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
    REQUIRE(::bind(listener.get(), &any.generic, any.size) == 0);
    REQUIRE(::listen(listener.get(), 0) == 0);
    at = local_endpoint(listener.get());
    for (int i = 0; i < 4; i++) {
      fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      SocketAddress to(at);
      ::connect(fillers.back().get(), &to.generic, to.size);
    }
  }
  Fd listener;
  std::vector<Fd> fillers;
  Endpoint at;
};

struct DescriptorLimit {
  explicit DescriptorLimit(rlim_t free) {
    ::getrlimit(RLIMIT_NOFILE, &before);
    Fd next(::dup(0));
    rlimit lower{static_cast<rlim_t>(next.get()) + free, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &lower);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

}  // namespace

TEST_CASE("host stream: bytes both ways, half-close both ways, both families") {
  for (const char *address : {"127.0.0.1", "::1"}) {
    Pair pair(address);
    Reader reader(*pair.stream);
    CHECK(put(*pair.stream, "question") == 8);
    pair.stream->shutdown_write();
    char buffer[100];
    CHECK(::recv(pair.peer.descriptor.get(), buffer, sizeof(buffer), MSG_WAITALL) == 8);
    pair.peer.send("answer");
    REQUIRE(test::run_until(pair.loop, [&] { return reader.text == "answer"; }));
    CHECK(!reader.ended);
    ::shutdown(pair.peer.descriptor.get(), SHUT_WR);
    REQUIRE(test::run_until(pair.loop, [&] { return reader.ended; }));
    CHECK(reader.error == 0);
  }
}

TEST_CASE("host stream: what was peeked and not taken stays, whoever reads meanwhile") {
  Pair one, two;
  one.peer.send("abcdef");
  two.peer.send("uvwxyz");
  test::run_ready(one.loop);
  test::run_ready(two.loop);
  // Both on one loop.
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  Peer other{Fd(pair[1])};
  Result<StreamPtr> third = make_host_stream(one.loop, Fd(pair[0]));
  REQUIRE(third);
  other.send("123456");
  Peeked peeked = one.stream->peek(100);
  REQUIRE(peeked.size == 6);
  one.stream->consume(2);
  peeked = (*third)->peek(100);
  REQUIRE(peeked.size == 6);
  CHECK(std::string(static_cast<const char *>(peeked.pieces[0].iov_base), 6) == "123456");
  peeked = one.stream->peek(3);
  REQUIRE(peeked.size == 3);
  CHECK(std::string(static_cast<const char *>(peeked.pieces[0].iov_base), 3) == "cde");
  one.stream->consume(3);
  peeked = (*third)->peek(100);
  CHECK(std::string(static_cast<const char *>(peeked.pieces[0].iov_base), peeked.size) == "123456");
  peeked = one.stream->peek(100);
  CHECK(std::string(static_cast<const char *>(peeked.pieces[0].iov_base), peeked.size) == "f");
}

TEST_CASE("host stream: a full peer stops us, and tells when it reads again") {
  Pair pair;
  Reader reader(*pair.stream);
  std::string piece(60000, 'w');
  size_t sent = 0;
  while (pair.stream->writable() > 0) sent += put(*pair.stream, piece);
  CHECK(sent > 60000);
  test::run_ready(pair.loop);
  CHECK(pair.stream->writable() == 0);
  CHECK(reader.writable == 0);
  std::string buffer(sent, 0);
  CHECK(::recv(pair.peer.descriptor.get(), buffer.data(), sent, MSG_WAITALL) == static_cast<ssize_t>(sent));
  REQUIRE(test::run_until(pair.loop, [&] { return reader.writable == 1; }));
  CHECK(pair.stream->writable() > 0);
}

TEST_CASE("host stream: hangups and errors are told, not repeated [host-hangup-told-once]") {
  for (bool reset : {false, true}) {
    Pair pair;
    Reader reader(*pair.stream);
    pair.peer.send("last");
    reset ? pair.peer.reset() : pair.peer.descriptor.reset();
    REQUIRE(test::run_until(pair.loop, [&] { return reader.ended || reader.error; }));
    test::run_ready(pair.loop);
    int calls = reader.readable + reader.writable;
    for (int i = 0; i < 50; i++) pair.loop.turn(milliseconds(1));
    CHECK(reader.readable + reader.writable == calls);
    CHECK(reader.error == (reset ? ECONNRESET : 0));
    if (!reset) CHECK(reader.text == "last");
  }
}

TEST_CASE("host stream: writing to a peer that is gone is an error of this flow, no signal [host-epipe-no-signal]") {
  Pair pair;
  Reader reader(*pair.stream);
  pair.peer.reset();
  REQUIRE(test::run_until(pair.loop, [&] { return reader.error != 0; }));
  iovec piece{const_cast<char *>("x"), 1};
  CHECK(!pair.stream->write_some({&piece, 1}));
  CHECK(!pair.stream->write_some({&piece, 1}));

  int sockets[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
  Result<StreamPtr> stream = make_host_stream(pair.loop, Fd(sockets[0]));
  ::close(sockets[1]);
  Result<size_t> written = (*stream)->write_some({&piece, 1});
  REQUIRE(!written);
  CHECK(written.error().code == EPIPE);
}

TEST_CASE("host stream: abort and unfinished destruction are an RST, a finished one is not") {
  for (int how = 0; how < 3; how++) {
    Pair pair;
    Reader reader(*pair.stream);
    if (how == 0) pair.stream->abort();
    if (how == 2) {
      pair.stream->shutdown_write();
      ::shutdown(pair.peer.descriptor.get(), SHUT_WR);
      REQUIRE(test::run_until(pair.loop, [&] { return reader.ended; }));
    }
    pair.stream.reset();
    char byte;
    ssize_t size = ::recv(pair.peer.descriptor.get(), &byte, 1, 0);
    CHECK(size == (how == 2 ? 0 : -1));
  }
}

TEST_CASE("host stream: a reset is known to a stream that is not read") {
  Pair pair;
  CHECK(pair.stream->peek(0).error == 0);
  pair.peer.reset();
  REQUIRE(test::run_until(pair.loop, [&] { return pair.stream->peek(0).error != 0; }));
  CHECK(pair.stream->peek(0).error == ECONNRESET);
}

TEST_CASE("host stream: an urgent byte is a byte like others [host-urgent-in-line]") {
  Pair pair;
  Reader reader(*pair.stream);
  int peer = pair.peer.descriptor.get();
  REQUIRE(::send(peer, "one", 3, 0) == 3);
  REQUIRE(::send(peer, "!", 1, MSG_OOB) == 1);
  REQUIRE(::send(peer, "two", 3, 0) == 3);
  CHECK(test::run_until(pair.loop, [&] { return reader.text == "one!two"; }));
}

TEST_CASE("host stream: 20 MB through a relay of two sockets arrive whole") {
  Loop loop;
  int inside[2], outside[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, inside) == 0);
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, outside) == 0);
  std::optional<test::Relayed> result;
  test::relay_to(loop, std::move(*make_host_stream(loop, Fd(inside[0]))),
                 std::move(*make_host_stream(loop, Fd(outside[0]))), minutes(1), &result);
  Result<StreamPtr> from = make_host_stream(loop, Fd(inside[1]));
  Result<StreamPtr> to = make_host_stream(loop, Fd(outside[1]));
  Reader sink(**to);
  sink.chunk = 7777;
  std::string all(20'000'000, 0);
  for (size_t i = 0; i < all.size(); i++) all[i] = static_cast<char>((i * 2654435761u) >> 13);
  size_t sent = 0;
  REQUIRE(test::run_until(loop, [&] {
    while (sent < all.size() && (*from)->writable()) sent += put(**from, std::string_view(all).substr(sent, 50000));
    return sent == all.size();
  }));
  (*from)->shutdown_write();
  (*to)->shutdown_write();
  REQUIRE(test::run_until(loop, [&] { return result.has_value() && sink.ended; }));
  CHECK(sink.text == all);
  CHECK(result->bytes_up == all.size());
}

TEST_CASE("dial: refused is a reset, with the errno") {
  Loop loop;
  Fd closed(::socket(AF_INET, SOCK_STREAM, 0));  // bound, not listening
  SocketAddress any(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  REQUIRE(::bind(closed.get(), &any.generic, any.size) == 0);
  Time begin = BootClock::now();
  Dialled result = dial(loop, local_endpoint(closed.get()));
  REQUIRE(!result);
  CHECK(BootClock::now() - begin < seconds(2));
  CHECK(result.error().code == ECONNREFUSED);
  CHECK(refusal_for(result.error(), true).kind == Refusal::Kind::reset);
  CHECK(drop_reason_for(result.error()) == DropReason::connection_refused);
}

TEST_CASE("dial: addresses that nobody can connect to fail at once [host-connect-odd-addresses]") {
  Loop loop;
  for (const char *address : {"255.255.255.255", "224.0.0.1", "ff02::1", "fe80::1"}) {
    INFO(address);
    Dialled result = dial(loop, {*IpAddress::parse(address), 80}, {.timeout = seconds(3)});
    REQUIRE(!result);
    CHECK(result.error().code != 0);
    CHECK(result.error().code != ETIMEDOUT);
    CHECK(!result.error().to_string().empty());
  }
}

TEST_CASE("dial: a source address that is not ours fails clearly [host-source-not-ours]") {
  Loop loop;
  Dialled result = dial(loop, {IpAddress::v4(127, 0, 0, 1), 9}, {.source = *IpAddress::parse("198.51.100.1")});
  REQUIRE(!result);
  CHECK(result.error().code == EADDRNOTAVAIL);
  CHECK(refusal_for(result.error(), true).kind == Refusal::Kind::reset);
}

TEST_CASE("dial: the source address asked for is the one used") {
  Pair pair;
  std::optional<Endpoint> seen;
  Result<std::unique_ptr<TcpListener>> listener =
      TcpListener::listen(pair.loop, {IpAddress::v4(127, 0, 0, 1), 0}, [&](Fd, Endpoint peer) { seen = peer; });
  Dialled result = dial(pair.loop, (*listener)->local(), {.source = IpAddress::v4(127, 0, 0, 5)});
  REQUIRE(result);
  REQUIRE(test::run_until(pair.loop, [&] { return seen.has_value(); }));
  CHECK(seen->address == IpAddress::v4(127, 0, 0, 5));
}

TEST_CASE("dial: an unanswered connect delays nobody, and can be cancelled or time out [host-unanswered-connect]") {
  ::alarm(30);  // without O_NONBLOCK the first dial would hold this thread for two minutes
  Unanswering black_hole;
  Pair pair;
  std::optional<Dialled> pending, limited;
  asio::cancellation_signal signal;
  asio::co_spawn(pair.loop.context(), test::keep_result(dial_tcp(pair.loop, black_hole.at), &pending),
                 asio::bind_cancellation_slot(signal.slot(), asio::detached));
  test::spawn(pair.loop, dial_tcp(pair.loop, black_hole.at, {.timeout = milliseconds(150)}), &limited);
  test::run_ready(pair.loop);
  Time begin = BootClock::now();
  CHECK(dial(pair.loop, pair.listener->local()));
  CHECK(BootClock::now() - begin < seconds(1));
  CHECK(!pending);
  REQUIRE(test::run_until(pair.loop, [&] { return limited.has_value(); }));
  CHECK(limited->error().code == ETIMEDOUT);
  CHECK(refusal_for(limited->error(), true).kind == Refusal::Kind::silence);
  CHECK(!pending);
  signal.emit(asio::cancellation_type::terminal);
  test::run_ready(pair.loop);
  REQUIRE(pending);
  CHECK(pending->error().code == ECANCELED);
  ::alarm(0);
}

TEST_CASE("dial: no more descriptors is one flow's error [host-emfile-fails-one-flow]") {
  Pair pair;
  Dialled result = DialError{};
  {
    DescriptorLimit limit(0);
    result = dial(pair.loop, pair.listener->local());
  }
  REQUIRE(!result);
  CHECK(result.error().code == EMFILE);
  CHECK(drop_reason_for(result.error()) == DropReason::descriptors_exhausted);
  CHECK(dial(pair.loop, pair.listener->local()));
}

TEST_CASE("listener: without descriptors it waits, then goes on [host-emfile-does-not-spin]") {
  Loop loop;
  std::vector<Fd> accepted;
  Result<std::unique_ptr<TcpListener>> listener =
      TcpListener::listen(loop, {IpAddress::v4(127, 0, 0, 1), 0},
                          [&](Fd descriptor, Endpoint) { accepted.push_back(std::move(descriptor)); });
  REQUIRE(listener);
  Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  SocketAddress to((*listener)->local());
  {
    DescriptorLimit limit(0);
    ::connect(client.get(), &to.generic, to.size);
    int turns = 0;
    for (Time end = BootClock::now() + milliseconds(60); BootClock::now() < end; turns++) loop.turn(milliseconds(20));
    CHECK(turns < 30);
    CHECK(accepted.empty());
  }
  REQUIRE(test::run_until(
      loop, [&] { return accepted.size() == 1; }, seconds(3)));
}

TEST_CASE("listener: many at once, and it may be destroyed in its handler") {
  Loop loop;
  std::unique_ptr<TcpListener> listener;
  int count = 0;
  Result<std::unique_ptr<TcpListener>> listening = TcpListener::listen(loop, {IpAddress(), 0}, [&](Fd, Endpoint peer) {
    CHECK(peer.address.is_loopback());
    if (++count == 150) listener.reset();
  });
  REQUIRE(listening);
  listener = std::move(*listening);
  std::vector<Fd> clients;
  uint16_t port = listener->local().port;
  for (int i = 0; i < 200; i++) {
    // "::" takes both families.
    SocketAddress to(Endpoint{*IpAddress::parse(i % 2 ? "127.0.0.1" : "::1"), port});
    clients.emplace_back(::socket(to.generic.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0));
    ::connect(clients.back().get(), &to.generic, to.size);
  }
  REQUIRE(test::run_until(loop, [&] { return !listener; }));
  CHECK(count == 150);
}

TEST_CASE("listener: a port that is taken is one clear error") {
  Pair pair;
  Result<std::unique_ptr<TcpListener>> second =
      TcpListener::listen(pair.loop, pair.listener->local(), [](Fd, Endpoint) {});
  REQUIRE(!second);
  CHECK(second.error().code == EADDRINUSE);
}

TEST_CASE("refusal: what the host met is told in the client's family") {
  struct Row {
    DialError error;
    bool client_is_v4;
    Refusal wanted;
  };
  const Row rows[] = {
      {{.code = EHOSTUNREACH, .has_icmp = true, .icmp_is_v4 = true, .icmp_type = 3, .icmp_code = 9},
       true,
       Refusal::unreachable(3, 9)},
      {{.code = EACCES, .has_icmp = true, .icmp_is_v4 = false, .icmp_type = 1, .icmp_code = 5},
       false,
       Refusal::unreachable(1, 5)},
      {{.code = EHOSTUNREACH, .has_icmp = true, .icmp_is_v4 = true, .icmp_type = 3, .icmp_code = 9},
       false,
       Refusal::unreachable(1, 3)},
      {{.code = ENETUNREACH}, true, Refusal::unreachable(3, 0)},
      {{.code = ENETUNREACH, .icmp_is_v4 = false}, false, Refusal::unreachable(1, 0)},
      {{.code = EHOSTUNREACH}, true, Refusal::unreachable(3, 1)},
      {{.code = EACCES}, true, Refusal::unreachable(3, 13)},
      {{.code = EAFNOSUPPORT, .icmp_is_v4 = false}, false, Refusal::unreachable(1, 0)},
      {{.code = EADDRNOTAVAIL, .icmp_is_v4 = false}, false, Refusal::unreachable(1, 0)},
      {{.code = EADDRNOTAVAIL}, true, Refusal::reset()},
      {{.code = ECONNREFUSED}, true, Refusal::reset()},
      {{.code = EMFILE}, true, Refusal::reset()},
      {{.code = ETIMEDOUT}, true, Refusal::silence()},
      {{.code = EINVAL}, true, Refusal::silence()},  // a blackhole route
      // The hop where a SYN's TTL ran out is named; an unreachable destination is told as by itself.
      {{.code = EHOSTUNREACH, .has_icmp = true, .icmp_type = 11, .reporter = IpAddress::v4(192, 0, 2, 1)},
       true,
       Refusal::unreachable(11, 0, IpAddress::v4(192, 0, 2, 1))},
      {{.code = EHOSTUNREACH,
        .has_icmp = true,
        .icmp_type = 3,
        .icmp_code = 1,
        .reporter = IpAddress::v4(192, 0, 2, 1)},
       true,
       Refusal::unreachable(3, 1)},
  };
  for (const Row &row : rows) {
    INFO(row.error.to_string() << (row.client_is_v4 ? " v4" : " v6"));
    Refusal refusal = refusal_for(row.error, row.client_is_v4);
    CHECK(refusal.kind == row.wanted.kind);
    CHECK(refusal.icmp_type == row.wanted.icmp_type);
    CHECK(refusal.icmp_code == row.wanted.icmp_code);
    CHECK(refusal.from == row.wanted.from);
  }
}

}  // namespace slipgate
