#include "io/udp_socket.h"

#include <netinet/udp.h>
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "io/socket_address.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

// The kernel's calls, disturbed.
struct Disturbance {
  std::vector<int> send_errors;  // given by the next calls, in order; 0: the call goes through
  unsigned send_at_most = 1000;  // messages of one call
  bool no_segments = false;      // EIO for every message with UDP_SEGMENT
  IpAddress vanished;            // EINVAL for this source address
  unsigned send_calls = 0;
} disturbed;

bool wants(const msghdr &head, int level, int type, const void *value = nullptr, size_t size = 0) {
  for (cmsghdr *control = CMSG_FIRSTHDR(&head); control; control = CMSG_NXTHDR(const_cast<msghdr *>(&head), control)) {
    if (control->cmsg_level != level || control->cmsg_type != type) continue;
    if (!value || std::memcmp(CMSG_DATA(control), value, size) == 0) return true;
  }
  return false;
}

const UdpSystemCalls kDisturbed{
    .receive_many = [](int descriptor, mmsghdr *messages, unsigned count,
                       int flags) { return ::recvmmsg(descriptor, messages, count, flags, nullptr); },
    .send_many =
        [](int descriptor, mmsghdr *messages, unsigned count, int flags) {
          disturbed.send_calls++;
          if (!disturbed.send_errors.empty()) {
            int error = disturbed.send_errors.front();
            disturbed.send_errors.erase(disturbed.send_errors.begin());
            errno = error;
            if (error) return -1;
          }
          count = std::min(count, disturbed.send_at_most);
          in6_addr vanished = to_in6(disturbed.vanished);
          for (unsigned i = 0; i < count; i++) {
            int error = 0;
            if (disturbed.no_segments && wants(messages[i].msg_hdr, SOL_UDP, UDP_SEGMENT)) error = EIO;
            if (wants(messages[i].msg_hdr, IPPROTO_IPV6, IPV6_PKTINFO, &vanished, sizeof(vanished))) error = EINVAL;
            if (!error) continue;
            if (i > 0) {  // the kernel reports what went before
              count = i;
              break;
            }
            errno = error;
            return -1;
          }
          return ::sendmmsg(descriptor, messages, count, flags);
        },
};

struct End final : UdpSocketOwner {
  explicit End(Loop &loop, UdpSocketOptions options = {.listen = {IpAddress(), 0}}) {
    Result<std::unique_ptr<UdpSocket>> opened = UdpSocket::open(loop, *this, batches, singles, counters, options);
    REQUIRE(opened);
    socket = std::move(*opened);
  }
  void on_datagrams(std::span<Datagram> datagrams) override {
    calls++;
    for (Datagram &datagram : datagrams) {
      texts.emplace_back(text_of(datagram.packet.bytes()));
      paths.push_back(datagram.path);
      if (keep) kept.push_back(std::move(datagram.packet));
    }
  }
  void on_queue_empty() override { queue_empty++; }

  void queue(std::string_view text, const Endpoint &to, const IpAddress &local = IpAddress()) {
    Packet packet = singles.allocate(text.size());
    REQUIRE(packet);
    std::memcpy(packet.data(), text.data(), text.size());
    socket->queue(std::move(packet), {.remote = to, .local = local});
  }

  BufferPool batches{UdpSocket::kBatchBuffer, 64, 16};
  BufferPool singles{2048, 8192, 512};
  Counters counters;
  std::vector<std::string> texts;
  std::vector<DatagramPath> paths;
  bool keep = false;
  std::vector<Packet> kept;
  std::unique_ptr<UdpSocket> socket;
  int calls = 0;
  int queue_empty = 0;
};

Endpoint at(const char *address, const End &end) {
  return {*IpAddress::parse(address), end.socket->local().port};
}

std::string text_number(int number, size_t size) {
  std::string text = std::to_string(number) + ":";
  text.resize(size, static_cast<char>('a' + number % 26));
  return text;
}

}  // namespace

TEST_CASE("udp socket: both families through one socket, and the answer leaves from where it was written to") {
  disturbed = {};
  Loop loop;
  End one(loop), two(loop);
  for (const char *address : {"127.0.0.1", "127.0.0.9", "::1"}) {
    two.texts.clear();
    two.paths.clear();
    one.queue("ping", at(address, two));
    one.socket->flush();
    REQUIRE(test::run_until(loop, [&] { return two.texts.size() == 1; }));
    CHECK(two.texts[0] == "ping");
    CHECK(two.paths[0].local == *IpAddress::parse(address));
    CHECK(two.paths[0].interface != 0);
    Packet answer = two.singles.allocate(4);
    std::memcpy(answer.data(), "pong", 4);
    two.socket->queue(std::move(answer), two.paths[0]);
    two.socket->flush();
    REQUIRE(test::run_until(loop, [&] { return one.texts.size() == 1; }));
    CHECK(one.paths[0].remote == at(address, two));
    one.texts.clear();
    one.paths.clear();
  }
}

TEST_CASE("udp socket: a batch of many sizes arrives whole and in order [wg-udp-mixed-sizes]") {
  disturbed = {};
  Loop loop;
  End one(loop), two(loop);
  two.keep = true;
  std::vector<std::string> sent;
  // Runs of equal size, shorter last ones, growing ones, an empty one, one that fills a run exactly, single large ones.
  for (size_t size : {1452, 1452, 1452, 300, 1452, 1452, 32, 32, 32, 48, 48, 0, 96, 96, 0, 0, 1023, 1024}) {
    sent.push_back(size ? text_number(static_cast<int>(sent.size()), size) : "");
  }
  for (int i = 0; i < 150; i++) sent.push_back(text_number(i, 1000));
  for (const std::string &text : sent) one.queue(text, at("127.0.0.1", two));
  one.socket->flush();
  CHECK(one.socket->queued() == 0);
  REQUIRE(test::run_until(loop, [&] { return two.texts.size() >= sent.size(); }));
  CHECK(two.texts == sent);
  CHECK(one.counters.datagrams_sent == sent.size());
  CHECK(two.counters.datagrams_received == sent.size());
  // What was kept was not written over by what came later.
  for (size_t i = 0; i < sent.size(); i++) CHECK(text_of(two.kept[i].bytes()) == sent[i]);
}

TEST_CASE("udp socket: runs to several peers go in few calls") {
  disturbed = {};
  Loop loop;
  UdpSocketOptions options{.listen = {IpAddress(), 0}};
  options.calls = &kDisturbed;
  End sender(loop, options), one(loop), two(loop);
  for (int peer = 0; peer < 2; peer++) {
    for (int i = 0; i < 40; i++) sender.queue(text_number(i, 1200), at("::1", peer ? two : one));
  }
  sender.socket->flush();
  CHECK(disturbed.send_calls == 1);
  REQUIRE(test::run_until(loop, [&] { return one.texts.size() == 40 && two.texts.size() == 40; }));
}

TEST_CASE("udp socket: datagrams up to 65,507 bytes, joined ones and small ones, have the room they need") {
  disturbed = {};
  Loop loop;
  End one(loop), two(loop);
  two.keep = true;
  BufferPool large(70000, 4, 1);
  Packet packet = large.allocate(65507);
  std::memset(packet.data(), 'L', 65507);
  one.socket->queue(std::move(packet), {.remote = at("127.0.0.1", two)});
  one.queue("small", at("127.0.0.1", two));
  one.socket->flush();
  REQUIRE(test::run_until(loop, [&] { return two.texts.size() == 2; }));
  CHECK(two.texts[0] == std::string(65507, 'L'));
  CHECK(two.kept[0].headroom() >= Packet::kHeadroom);
  CHECK(two.kept[1].headroom() >= Packet::kHeadroom);
  CHECK(two.kept[1].tailroom() >= Packet::kTailroom);
  CHECK(two.kept[1].held_bytes() == two.singles.capacity());
}

TEST_CASE("udp socket: a kernel that takes one message of many is asked again from there [wg-partial-sendmmsg]") {
  disturbed = {.send_at_most = 1};
  Loop loop;
  UdpSocketOptions options{.listen = {IpAddress(), 0}};
  options.calls = &kDisturbed;
  End sender(loop, options), one(loop), two(loop);
  std::vector<std::string> sent;
  for (int i = 0; i < 20; i++) {
    sent.push_back(text_number(i, 100));
    sender.queue(sent.back(), at("127.0.0.1", one));
    sender.queue(sent.back(), at("127.0.0.1", two));
  }
  sender.socket->flush();
  REQUIRE(test::run_until(
      loop, [&] { return one.texts.size() + two.texts.size() >= 40; }, seconds(3)));
  CHECK(one.texts == sent);
  CHECK(two.texts == sent);
}

TEST_CASE("udp socket: EIO from UDP_SEGMENT: the same datagrams go one by one [wg-segment-fallback]") {
  disturbed = {.no_segments = true};
  Loop loop;
  UdpSocketOptions options{.listen = {IpAddress(), 0}};
  options.calls = &kDisturbed;
  End sender(loop, options), receiver(loop);
  std::vector<std::string> sent;
  for (int i = 0; i < 30; i++) sent.push_back(text_number(i, 500));
  for (const std::string &text : sent) sender.queue(text, at("127.0.0.1", receiver));
  sender.socket->flush();
  CHECK(sender.socket->queued() == 0);
  test::run_until(
      loop, [&] { return receiver.texts.size() >= sent.size(); }, seconds(3));
  CHECK(receiver.texts == sent);
  CHECK(sender.counters.dropped(DropReason::link_send_failed) == 0);
}

TEST_CASE("udp socket: a source address that vanished: any other will do [host-source-address-vanished]") {
  disturbed = {.vanished = *IpAddress::parse("127.0.0.7")};
  Loop loop;
  UdpSocketOptions options{.listen = {IpAddress(), 0}};
  options.calls = &kDisturbed;
  End sender(loop, options), receiver(loop);
  for (int i = 0; i < 3; i++) sender.queue("still here", at("127.0.0.1", receiver), disturbed.vanished);
  sender.socket->flush();
  test::run_until(
      loop, [&] { return receiver.texts.size() == 3; }, seconds(3));
  CHECK(receiver.texts.size() == 3);
  CHECK(receiver.paths[0].remote.address == *IpAddress::parse("127.0.0.1"));
}

TEST_CASE("udp socket: a source address that the kernel itself refuses") {
  disturbed = {};
  Loop loop;
  End sender(loop), receiver(loop);
  sender.queue("v4", at("127.0.0.1", receiver), *IpAddress::parse("198.51.100.77"));
  sender.queue("v6", at("::1", receiver), *IpAddress::parse("2001:db8::77"));
  sender.socket->flush();
  REQUIRE(test::run_until(loop, [&] { return receiver.texts.size() == 2; }));
}

TEST_CASE("udp socket: an error that belongs to another destination costs nothing [host-send-error-of-another]") {
  disturbed = {.send_errors = {ECONNREFUSED, 0, EHOSTUNREACH}};
  Loop loop;
  UdpSocketOptions options{.listen = {IpAddress(), 0}};
  options.calls = &kDisturbed;
  End sender(loop, options), receiver(loop);
  sender.queue("first", at("127.0.0.1", receiver));
  sender.socket->flush();
  sender.queue("second", at("127.0.0.1", receiver));
  sender.socket->flush();
  test::run_until(
      loop, [&] { return receiver.texts.size() == 2; }, seconds(3));
  CHECK(receiver.texts == std::vector<std::string>{"first", "second"});
}

TEST_CASE("udp socket: what one destination refuses costs that datagram alone [host-send-error-costs-one]") {
  disturbed = {};
  Loop loop;
  End sender(loop), receiver(loop);
  sender.queue("before", at("127.0.0.1", receiver));
  sender.queue("nowhere", {*IpAddress::parse("127.0.0.1"), 0});  // port 0: EINVAL
  sender.queue("behind", at("127.0.0.1", receiver));
  sender.socket->flush();
  CHECK(sender.socket->queued() == 0);
  REQUIRE(test::run_until(loop, [&] { return receiver.texts.size() == 2; }));
  CHECK(receiver.texts == std::vector<std::string>{"before", "behind"});
  CHECK(sender.counters.dropped(DropReason::link_send_failed) == 1);
}

TEST_CASE("udp socket: a full kernel buffer keeps a bounded queue until there is room [wg-udp-queue-bounded]") {
  disturbed = {.send_errors = {EAGAIN}};
  Loop loop;
  UdpSocketOptions options{.listen = {IpAddress(), 0}, .queue_capacity = 10};
  options.calls = &kDisturbed;
  End sender(loop, options), receiver(loop);
  test::run_ready(loop);  // the first writability is told
  sender.queue("0", at("127.0.0.1", receiver));
  sender.socket->flush();
  CHECK(sender.socket->queued() == 1);
  for (int i = 1; i < 15; i++) sender.queue(std::to_string(i), at("127.0.0.1", receiver));
  CHECK(sender.socket->queued() == 10);
  CHECK(sender.counters.dropped(DropReason::link_queue_full) == 5);
  sender.socket->on_events(EPOLLOUT);
  CHECK(sender.socket->queued() == 0);
  CHECK(sender.queue_empty == 1);
  REQUIRE(test::run_until(loop, [&] { return receiver.texts.size() == 10; }));
}

TEST_CASE("udp socket: exhausted buffers cost datagrams, not the socket") {
  disturbed = {};
  Loop loop;
  End sender(loop), receiver(loop);
  // All but the socket's own buffers are taken.
  std::vector<Packet> hoard;
  while (Packet packet = receiver.batches.allocate(1)) hoard.push_back(std::move(packet));
  receiver.keep = true;
  for (int i = 0; i < 40; i++) sender.queue(text_number(i, 1400), at("127.0.0.1", receiver));
  sender.socket->flush();
  REQUIRE(test::run_until(loop, [&] { return receiver.texts.size() == 40; }));
  receiver.kept.clear();
  while (Packet packet = receiver.singles.allocate(1)) hoard.push_back(std::move(packet));
  for (int i = 0; i < 40; i++) sender.queue(text_number(i, 1400), at("127.0.0.1", receiver));
  sender.socket->flush();
  REQUIRE(test::run_until(loop, [&] { return receiver.counters.dropped(DropReason::buffers_exhausted) == 40; }));
  hoard.clear();
  sender.queue("and on", at("127.0.0.1", receiver));
  sender.socket->flush();
  REQUIRE(test::run_until(loop, [&] { return receiver.texts.size() == 41; }));
}

TEST_CASE("udp socket: a flood does not keep others from their turn") {
  disturbed = {};
  Loop loop;
  End sender(loop), receiver(loop);
  for (int i = 0; i < 1000; i++) sender.queue(text_number(i, 100 + i % 2 * 100), at("127.0.0.1", receiver));
  sender.socket->flush();
  loop.turn(milliseconds(100));
  CHECK(receiver.calls <= 1);
  REQUIRE(test::run_until(loop, [&] { return receiver.texts.size() >= 200; }));
  CHECK(receiver.calls > 1);
}

TEST_CASE("udp socket: a port that is taken is one clear error") {
  disturbed = {};
  Loop loop;
  End one(loop);
  Counters counters;
  Result<std::unique_ptr<UdpSocket>> second = UdpSocket::open(loop, one, one.batches, one.singles, counters,
                                                              {.listen = {IpAddress(), one.socket->local().port}});
  REQUIRE(!second);
  CHECK(second.error().code == EADDRINUSE);
}

}  // namespace slipgate
