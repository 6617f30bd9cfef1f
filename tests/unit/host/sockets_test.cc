// Unix, Firecracker's, TIPC and vsock sockets as targets; the last two only as far as a machine without them goes.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "host/firecracker.h"
#include "host/tipc.h"
#include "host/unix.h"
#include "host/vsock.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

using Dialled = Result<StreamPtr, DialError>;

Dialled result_of(Loop &loop, Task<Dialled> task) {
  std::optional<Dialled> result;
  test::spawn(loop, std::move(task), &result);
  REQUIRE(test::run_until(loop, [&] { return result.has_value(); }));
  return std::move(*result);
}

// A listening Unix socket in a folder of its own, or an abstract one.
struct Listener {
  explicit Listener(bool abstract = false, int backlog = 8) {
    char made[] = "/tmp/slipgate-unit.XXXXXX";
    REQUIRE(::mkdtemp(made));
    folder = made;
    path = (abstract ? "@" : "") + folder + "/x.sock";
    descriptor = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    if (abstract) address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
    REQUIRE(::bind(descriptor.get(), reinterpret_cast<sockaddr *>(&address), size) == 0);
    REQUIRE(::listen(descriptor.get(), backlog) == 0);
  }
  ~Listener() {
    ::unlink((folder + "/x.sock").c_str());
    ::rmdir(folder.c_str());
  }
  Fd accept() { return Fd(::accept4(descriptor.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  std::string folder, path;
  Fd descriptor;
};

std::string receive(const Fd &from, size_t most = 1000) {
  std::string text(most, '\0');
  const ssize_t size = ::recv(from.get(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return text;
}

void send(const Fd &to, std::string_view text) {
  REQUIRE(::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

std::string text_from(Loop &loop, Stream &stream, size_t size) {
  std::string text;
  test::run_until(loop, [&] {
    Peeked peeked = stream.peek(size - text.size());
    for (const iovec &piece : peeked.pieces) text.append(static_cast<const char *>(piece.iov_base), piece.iov_len);
    if (peeked.size > 0) stream.consume(peeked.size);
    return text.size() >= size || peeked.end || peeked.error;
  });
  return text;
}

}  // namespace

TEST_CASE("Unix: a path and an abstract name, both ways and to the end") {
  Loop loop;
  const bool abstract = GENERATE(false, true);
  Listener listener(abstract);
  Dialled stream = result_of(loop, dial_unix(loop, {listener.path}));
  REQUIRE(stream);
  Fd peer = listener.accept();
  send(peer, "hello");
  CHECK(text_from(loop, **stream, 5) == "hello");
  iovec piece{const_cast<char *>("word"), 4};
  Result<size_t> written = (*stream)->write_some({&piece, 1});
  REQUIRE(written);
  CHECK(receive(peer) == "word");
  (*stream)->shutdown_write();
  CHECK(receive(peer) == "");
  send(peer, "after");
  peer.reset();
  CHECK(text_from(loop, **stream, 1000) == "after");
  CHECK((*stream)->peek(1).end);
}

TEST_CASE("Unix: nobody there is a reset to the client") {
  Loop loop;
  Listener listener;
  Dialled missing = result_of(loop, dial_unix(loop, {listener.path + "x"}));
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOENT);
  listener.descriptor.reset();
  Dialled refused = result_of(loop, dial_unix(loop, {listener.path}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ECONNREFUSED);
  for (const DialError &error : {missing.error(), refused.error()}) {
    CHECK(refusal_for(error, true).kind == Refusal::Kind::reset);
    CHECK(drop_reason_for(error) == DropReason::connection_refused);
  }
  Dialled too_long = result_of(loop, dial_unix(loop, {"/" + std::string(107, 'x')}));
  REQUIRE_FALSE(too_long);
  CHECK(too_long.error().code == ENAMETOOLONG);
}

TEST_CASE("Unix: a full backlog is waited for, within bounds") {
  Loop loop;
  Listener listener(false, 0);
  // Linux takes one more than the backlog says.
  Dialled first = result_of(loop, dial_unix(loop, {listener.path}));
  REQUIRE(first);
  Dialled late = result_of(loop, dial_unix(loop, {listener.path}, milliseconds(30)));
  REQUIRE_FALSE(late);
  CHECK(late.error().code == ETIMEDOUT);
  CHECK(refusal_for(late.error(), true).kind == Refusal::Kind::silence);

  std::optional<Dialled> patient;
  test::spawn(loop, dial_unix(loop, {listener.path}), &patient);
  test::run_ready(loop);
  CHECK_FALSE(patient);
  Fd accepted = listener.accept();
  REQUIRE(test::run_until(loop, [&] { return patient.has_value(); }));
  CHECK(*patient);
}

TEST_CASE("Firecracker: the port is asked for, what follows the answer is data") {
  Loop loop;
  Listener listener;
  std::string asked;
  std::thread guest([&] {
    Fd peer = listener.accept();
    while (!asked.ends_with('\n')) {
      const std::string more = receive(peer, 1);
      if (more.empty()) return;
      asked += more;
    }
    for (char byte : std::string("OK 1073741824\nhello")) send(peer, {&byte, 1});
  });
  Dialled stream = result_of(loop, dial_firecracker(loop, {listener.path, 52}));
  guest.join();
  CHECK(asked == "CONNECT 52\n");
  REQUIRE(stream);
  CHECK(text_from(loop, **stream, 1000) == "hello");
  CHECK((*stream)->peek(1).end);
}

TEST_CASE("Firecracker: refusals") {
  struct Row {
    std::string says;
    bool stays;
    int code;
    Refusal::Kind kind;
  };
  const Row row = GENERATE(Row{"", false, ECONNRESET, Refusal::Kind::reset},             // nobody listens in the guest
                           Row{"HTTP/1.1 400\r\n", true, EPROTO, Refusal::Kind::reset},  // no Firecracker
                           Row{"OK 10", true, ETIMEDOUT, Refusal::Kind::silence});
  Loop loop;
  Listener listener;
  std::optional<Dialled> result;
  test::spawn(loop, dial_firecracker(loop, {listener.path, 52}, milliseconds(300)), &result);
  Fd peer;
  std::thread guest([&] {
    peer = listener.accept();
    receive(peer);
    if (!row.says.empty()) send(peer, row.says);
    if (!row.stays) peer.reset();
  });
  REQUIRE(test::run_until(loop, [&] { return result.has_value(); }));
  guest.join();
  REQUIRE_FALSE(*result);
  CHECK(result->error().code == row.code);
  CHECK(refusal_for(result->error(), true).kind == row.kind);
}

TEST_CASE("TIPC and vsock: addresses") {
  const sockaddr_vm vsock = vsock_address({3, 4000000000});
  CHECK(vsock.svm_family == AF_VSOCK);
  CHECK(vsock.svm_cid == 3);
  CHECK(vsock.svm_port == 4000000000);
  const sockaddr_tipc tipc = tipc_address({18888, 17});
  CHECK(tipc.family == AF_TIPC);
  CHECK(int{tipc.addrtype} == TIPC_SERVICE_ADDR);
  CHECK(tipc.addr.name.name.type == 18888);
  CHECK(tipc.addr.name.name.instance == 17);
  CHECK(tipc.addr.name.domain == 0);
}

TEST_CASE("TIPC: a kernel without it, or a service that nobody offers, is a reset to the client") {
  Loop loop;
  Dialled stream = result_of(loop, dial_tipc(loop, {18888, 17}));
  REQUIRE_FALSE(stream);
  INFO(stream.error().code);
  CHECK((stream.error().code == EAFNOSUPPORT || stream.error().code == EHOSTUNREACH));
  CHECK(refusal_for(stream.error(), true).kind == Refusal::Kind::reset);
}

}  // namespace slipgate
