// Load through a gateway by the kernel's own sockets: the servers behind it, and clients that measure. It shares no
// code with slipgate, so that every gateway is measured by the same ruler.
//
//   load serve                              TCP 7100 reads to the end, 7101 sends until the client says a word, 7102
//   echoes;
//                                           UDP 7102 echoes. Prints `ready`.
//   load up|down HOST STREAMS SECONDS PID   bulk in that many streams, until the last byte has arrived
//   load trips HOST COUNT PID               round trips of 64 bytes on one connection
//   load connections HOST COUNT PID         connections one after the other, 64 bytes there and back on each
//   load udp HOST same|single|varying SECONDS PID    echoes of 1,200 bytes, 128 under way. same: both ends hand the
//   kernel
//                                           runs (UDP_SEGMENT), single: one by one; varying: sizes of 945 to 1,200
//   load dns HOST NAME SECONDS PID          queries for the A record of NAME, 64 under way
//   load idle HOST COUNT SECONDS            opens connections, at most for so long; says `open N`; closes them when
//                                           standard input ends
//
// Each client prints one JSON object. `cpu` is what PID (the gateway) used meanwhile, in seconds: all of its threads,
// by the scheduler's account (/proc/PID/stat counts in steps of 10 ms only).
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

constexpr uint16_t kSinkPort = 7100, kSourcePort = 7101, kEchoPort = 7102;
constexpr size_t kBlock = 256 << 10;
constexpr size_t kMessage = 64;  // of round trips
constexpr size_t kDatagram = 1200;
constexpr double kPatience = 10;  // seconds that the end may take

[[noreturn]] void fail(const std::string &text) {
  std::fprintf(stderr, "load: %s\n", text.c_str());
  std::exit(1);
}
[[noreturn]] void fail_errno(const std::string &what) {
  fail(what + ": " + std::strerror(errno));
}

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What a process has used, seconds. Its threads come and go seldom enough for us to look at those that are there.
double cpu_of(const std::string &pid) {
  const std::string folder = "/proc/" + pid + "/task";
  DIR *tasks = opendir(folder.c_str());
  if (!tasks) fail("no process " + pid);
  double total = 0;
  while (dirent *task = readdir(tasks)) {
    if (task->d_name[0] == '.') continue;
    uint64_t nanoseconds = 0;
    std::ifstream(folder + "/" + task->d_name + "/schedstat") >> nanoseconds;
    total += static_cast<double>(nanoseconds) / 1e9;
  }
  closedir(tasks);
  return total;
}

// From the start of a measurement to its end.
class Meter {
 public:
  explicit Meter(std::string pid) : pid_(std::move(pid)), cpu_(cpu_of(pid_)), start_(Clock::now()) {}
  double seconds() const { return since(start_); }
  double cpu() const { return cpu_of(pid_) - cpu_; }

 private:
  std::string pid_;
  double cpu_;
  Clock::time_point start_;
};

sockaddr_in address(const std::string &host, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &result.sin_addr) != 1) fail("not an IPv4 address: " + host);
  return result;
}

void set(int descriptor, int level, int option, int value) {
  if (setsockopt(descriptor, level, option, &value, sizeof(value)) != 0) fail_errno("setsockopt");
}

int connect_tcp(const std::string &host, uint16_t port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  const sockaddr_in to = address(host, port);
  if (connect(descriptor, reinterpret_cast<const sockaddr *>(&to), sizeof(to)) != 0) fail_errno("connect");
  return descriptor;
}

void make_nonblocking(int descriptor) {
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

void read_exactly(int descriptor, char *to, size_t size) {
  while (size > 0) {
    const ssize_t count = read(descriptor, to, size);
    if (count <= 0) fail(count == 0 ? "end of stream" : std::string("read: ") + std::strerror(errno));
    to += count, size -= static_cast<size_t>(count);
  }
}

// --- runs of datagrams ----------------------------------------------------------------------------------------------

// Receives what waits, joined by the kernel where it can, and tells `handle` of each run: its bytes, the size of each
// datagram in it, and whose it is.
class DatagramReader {
 public:
  explicit DatagramReader(int descriptor) : descriptor_(descriptor) { set(descriptor, IPPROTO_UDP, UDP_GRO, 1); }

  template <typename Handle>
  void read(Handle handle) {
    std::array<mmsghdr, kMessages> messages{};
    std::array<iovec, kMessages> pieces;
    std::array<sockaddr_in, kMessages> sources;
    std::array<std::array<char, CMSG_SPACE(sizeof(int))>, kMessages> controls;
    for (size_t i = 0; i < kMessages; i++) {
      pieces[i] = {&buffer_[i * kRun], kRun};
      messages[i].msg_hdr = {.msg_name = &sources[i],
                             .msg_namelen = sizeof(sources[i]),
                             .msg_iov = &pieces[i],
                             .msg_iovlen = 1,
                             .msg_control = controls[i].data(),
                             .msg_controllen = controls[i].size(),
                             .msg_flags = 0};
    }
    const int count = recvmmsg(descriptor_, messages.data(), kMessages, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; i++) {
      size_t segment = messages[i].msg_len;
      for (cmsghdr *c = CMSG_FIRSTHDR(&messages[i].msg_hdr); c; c = CMSG_NXTHDR(&messages[i].msg_hdr, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
          int joined;
          std::memcpy(&joined, CMSG_DATA(c), sizeof(joined));
          segment = static_cast<size_t>(joined);
        }
      }
      handle(static_cast<char *>(pieces[i].iov_base), messages[i].msg_len, segment, sources[i]);
    }
  }

 private:
  static constexpr size_t kMessages = 64, kRun = 65536;
  const int descriptor_;
  std::vector<char> buffer_ = std::vector<char>(kMessages * kRun);
};

// One run, cut by the kernel. False: the kernel takes no more now.
bool send_run(int descriptor, const char *bytes, size_t size, size_t segment, const sockaddr_in *to) {
  iovec piece{const_cast<char *>(bytes), size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(uint16_t))> control{};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_in *>(to);
  message.msg_namelen = to ? sizeof(*to) : 0;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (size > segment) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const auto cut = static_cast<uint16_t>(segment);
    std::memcpy(CMSG_DATA(c), &cut, sizeof(cut));
  }
  return sendmsg(descriptor, &message, MSG_DONTWAIT) >= 0;
}

int udp_socket() {
  const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  for (int option : {SO_RCVBUF, SO_SNDBUF}) set(descriptor, SOL_SOCKET, option, 4 << 20);
  return descriptor;
}

// --- servers --------------------------------------------------------------------------------------------------------

class Servers {
 public:
  void run() {
    for (uint16_t port : {kSinkPort, kSourcePort, kEchoPort}) {
      const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
      bind_to(listener, port);
      if (listen(listener, 4096) != 0) fail_errno("listen");
      add(listener, {port, true}, EPOLLIN);
    }
    const int datagrams = udp_socket();
    bind_to(datagrams, kEchoPort);
    DatagramReader reader(datagrams);
    add(datagrams, {0, false}, EPOLLIN);
    std::puts("ready");
    std::fflush(stdout);
    std::array<epoll_event, 256> events;
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < count; i++) {
        const int descriptor = events[i].data.fd;
        const Role role = roles_[descriptor];
        if (descriptor == datagrams) {
          reader.read([&](const char *bytes, size_t size, size_t segment, const sockaddr_in &from) {
            send_run(datagrams, bytes, size, segment, &from);
          });
        } else if (role.listens) {
          accept_all(descriptor, role.port);
        } else if (!(role.port == kSinkPort   ? sink(descriptor)
                     : role.port == kEchoPort ? echo(descriptor)
                                              : source(descriptor, events[i].events))) {
          roles_.erase(descriptor);
          close(descriptor);
        }
      }
    }
  }

 private:
  struct Role {
    uint16_t port;
    bool listens;
  };

  static void bind_to(int descriptor, uint16_t port) {
    const sockaddr_in at = address("0.0.0.0", port);
    if (bind(descriptor, reinterpret_cast<const sockaddr *>(&at), sizeof(at)) != 0) fail_errno("bind");
  }
  void add(int descriptor, Role role, uint32_t interest) {
    epoll_event event{.events = interest, .data = {.fd = descriptor}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
    roles_[descriptor] = role;
  }
  void accept_all(int listener, uint16_t port) {
    while (true) {
      const int descriptor = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) return;
      set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
      add(descriptor, {port, false}, port == kSourcePort ? uint32_t{EPOLLIN | EPOLLOUT} : uint32_t{EPOLLIN});
    }
  }
  // All three: false at the connection's end.
  static bool again(ssize_t result) { return result > 0 || (result < 0 && errno == EAGAIN); }
  bool sink(int descriptor) {
    // Not copied: what is measured is not this process.
    return again(recv(descriptor, nullptr, 16 * kBlock, MSG_TRUNC));
  }
  bool echo(int descriptor) {
    const ssize_t count = read(descriptor, block_.data(), 16384);
    // An echo's client reads what it wrote before it writes more: this always fits the socket.
    return count > 0 ? write(descriptor, block_.data(), static_cast<size_t>(count)) == count : again(count);
  }
  bool source(int descriptor, uint32_t events) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
      // Read, or closing would be a reset.
      (void)!read(descriptor, block_.data(), 1);
      return false;
    }
    return again(send(descriptor, block_.data(), block_.size(), MSG_NOSIGNAL));
  }

  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  std::unordered_map<int, Role> roles_;
  std::vector<char> block_ = std::vector<char>(kBlock, 'x');
};

// --- clients --------------------------------------------------------------------------------------------------------

void bulk(bool up, const std::string &host, int streams, double seconds, const std::string &pid) {
  std::vector<pollfd> open;
  std::vector<char> block(kBlock, 'x');
  Meter meter(pid);
  for (int i = 0; i < streams; i++) {
    open.push_back({connect_tcp(host, up ? kSinkPort : kSourcePort), static_cast<short>(up ? POLLOUT : POLLIN), 0});
    make_nonblocking(open.back().fd);
  }
  uint64_t bytes = 0;
  bool ending = false;
  // At the end of the time our FIN, or the word to stop (not every gateway passes a half-close on), and then everything
  // that is still under way, up to the server's end.
  while (!open.empty()) {
    if (!ending && meter.seconds() >= seconds) {
      ending = true;
      for (pollfd &stream : open) {
        if (up) shutdown(stream.fd, SHUT_WR);
        if (!up) (void)!write(stream.fd, "!", 1);
        stream.events = POLLIN;
      }
    }
    poll(open.data(), open.size(), 50);
    if (meter.seconds() > seconds + kPatience) fail("the server's end does not come");
    for (pollfd &stream : open) {
      if (!stream.revents) continue;
      const bool sends = up && !ending;
      const ssize_t count = sends ? send(stream.fd, block.data(), block.size(), MSG_NOSIGNAL)
                                  : recv(stream.fd, nullptr, 16 * kBlock, MSG_TRUNC);
      if (count > 0) bytes += static_cast<uint64_t>(count);
      if (count < 0 && errno != EAGAIN) fail_errno(up ? "send" : "receive");
      if (count == 0 && !sends) {
        if (!ending) fail("the server ended first");
        close(stream.fd);
        stream.fd = -1;
      }
    }
    std::erase_if(open, [](const pollfd &stream) { return stream.fd < 0; });
  }
  const double took = meter.seconds();
  std::printf("{\"bytes\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n", static_cast<unsigned long long>(bytes), took,
              meter.cpu());
}

void trips(const std::string &host, size_t count, const std::string &pid) {
  const int descriptor = connect_tcp(host, kEchoPort);
  std::array<char, kMessage> message{};
  std::vector<double> times;
  auto trip = [&] {
    if (write(descriptor, message.data(), message.size()) != static_cast<ssize_t>(message.size())) fail_errno("write");
    read_exactly(descriptor, message.data(), message.size());
  };
  for (int i = 0; i < 50; i++) trip();
  Meter meter(pid);
  for (size_t i = 0; i < count; i++) {
    const Clock::time_point start = Clock::now();
    trip();
    times.push_back(since(start) * 1e6);
  }
  const double cpu = meter.cpu();
  std::sort(times.begin(), times.end());
  std::printf("{\"p50\": %.2f, \"p99\": %.2f, \"count\": %zu, \"cpu\": %.6f}\n", times[count / 2],
              times[count * 99 / 100], count, cpu);
}

void connections(const std::string &host, size_t count, const std::string &pid) {
  std::array<char, kMessage> message{};
  auto one = [&] {
    const int descriptor = connect_tcp(host, kEchoPort);
    if (write(descriptor, message.data(), message.size()) < 0) fail_errno("write");
    read_exactly(descriptor, message.data(), message.size());
    close(descriptor);
  };
  for (int i = 0; i < 20; i++) one();
  Meter meter(pid);
  for (size_t i = 0; i < count; i++) one();
  const double took = meter.seconds();
  std::printf("{\"count\": %zu, \"seconds\": %.6f, \"cpu\": %.6f}\n", count, took, meter.cpu());
}

// Keeps `window` requests under way for `seconds`; `send(n)` sends up to n and gives how many went, `receive` gives how
// many answers there were. What a silence of 100 ms leaves unanswered is lost.
template <typename Send, typename Receive>
void ask(int descriptor, size_t window, size_t burst, double seconds, const std::string &pid, Send send,
         Receive receive) {
  Meter meter(pid);
  size_t under_way = 0, answered = 0, lost = 0;
  while (meter.seconds() < seconds) {
    while (under_way + burst <= window) {
      const size_t sent = send(burst);
      if (sent == 0) break;
      under_way += sent;
    }
    pollfd wait{descriptor, POLLIN, 0};
    if (poll(&wait, 1, 100) == 0) lost += std::exchange(under_way, 0);
    const size_t count = receive();
    answered += count;
    under_way -= std::min(under_way, count);
  }
  if (answered == 0) fail("no answers");
  const double took = meter.seconds();
  std::printf("{\"count\": %zu, \"lost\": %zu, \"seconds\": %.6f, \"cpu\": %.6f}\n", answered, lost, took, meter.cpu());
}

void udp(const std::string &host, const std::string &kind, double seconds, const std::string &pid) {
  constexpr size_t kWindow = 128, kBurst = 32;
  if (kind != "same" && kind != "single" && kind != "varying") fail("udp " + kind);
  const int descriptor = udp_socket();
  const sockaddr_in to = address(host, kEchoPort);
  if (connect(descriptor, reinterpret_cast<const sockaddr *>(&to), sizeof(to)) != 0) fail_errno("connect");
  DatagramReader reader(descriptor);
  std::vector<char> bytes(kBurst * kDatagram, 'u');
  std::minstd_rand random(1);
  auto send = [&](size_t count) -> size_t {
    if (kind == "same") return send_run(descriptor, bytes.data(), count * kDatagram, kDatagram, nullptr) ? count : 0;
    std::array<mmsghdr, kBurst> messages{};
    std::array<iovec, kBurst> pieces;
    for (size_t i = 0; i < count; i++) {
      pieces[i] = {bytes.data() + i * kDatagram, kDatagram - (kind == "varying" ? random() % 256 : 0)};
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(descriptor, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<size_t>(sent);
  };
  auto receive = [&] {
    size_t count = 0;
    reader.read([&](const char *, size_t size, size_t segment, const sockaddr_in &) {
      count += (size + segment - 1) / segment;
    });
    return count;
  };
  ask(descriptor, kWindow, kBurst, seconds, pid, send, receive);
}

void dns(const std::string &host, const std::string &name, double seconds, const std::string &pid) {
  constexpr size_t kWindow = 64, kBurst = 16;
  const int descriptor = udp_socket();
  const sockaddr_in to = address(host, 53);
  if (connect(descriptor, reinterpret_cast<const sockaddr *>(&to), sizeof(to)) != 0) fail_errno("connect");
  // RFC 1035 section 4.1: an identifier, recursion desired, one question.
  std::string query("\0\0\1\0\0\1\0\0\0\0\0\0", 12);
  for (size_t from = 0; from < name.size();) {
    const size_t dot = std::min(name.find('.', from), name.size());
    query += static_cast<char>(dot - from);
    query += name.substr(from, dot - from);
    from = dot + 1;
  }
  query += std::string("\0\0\1\0\1", 5);
  uint16_t identifier = 0;
  auto send = [&](size_t count) {
    size_t sent = 0;
    for (; sent < count; sent++) {
      identifier++;
      std::memcpy(query.data(), &identifier, sizeof(identifier));
      if (::send(descriptor, query.data(), query.size(), MSG_DONTWAIT) < 0) break;
    }
    return sent;
  };
  DatagramReader reader(descriptor);
  auto receive = [&] {
    size_t count = 0;
    reader.read([&](const char *bytes, size_t size, size_t segment, const sockaddr_in &) {
      for (size_t at = 0; at < size; at += segment) {
        const bool has_answer = size - at >= 12 && (bytes[at + 3] & 15) == 0 && bytes[at + 7] > 0;
        if (!has_answer) fail("an answer without the address of " + name);
        count++;
      }
    });
    return count;
  };
  ask(descriptor, kWindow, kBurst, seconds, pid, send, receive);
}

void idle(const std::string &host, size_t count, double seconds) {
  constexpr size_t kOpening = 64;
  const Clock::time_point start = Clock::now();
  const sockaddr_in to = address(host, kEchoPort);
  std::vector<pollfd> opening;
  std::vector<int> open;
  size_t begun = 0;
  while (open.size() < count && since(start) < seconds) {
    while (begun < count && opening.size() < kOpening) {
      const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (descriptor < 0) fail_errno("socket");
      if (connect(descriptor, reinterpret_cast<const sockaddr *>(&to), sizeof(to)) != 0 && errno != EINPROGRESS)
        fail_errno("connect");
      opening.push_back({descriptor, POLLOUT, 0});
      begun++;
    }
    if (poll(opening.data(), opening.size(), 1000) <= 0) continue;
    for (pollfd &stream : opening) {
      if (!stream.revents) continue;
      int error = 0;
      socklen_t size = sizeof(error);
      getsockopt(stream.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error) fail(std::string("connect: ") + std::strerror(error));
      open.push_back(stream.fd);
      stream.fd = -1;
    }
    std::erase_if(opening, [](const pollfd &stream) { return stream.fd < 0; });
  }
  std::printf("open %zu in %.2f s\n", open.size(), since(start));
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;
  for (int descriptor : open) close(descriptor);
  std::puts("closed");
}

}  // namespace

int main(int argc, char **argv) {
  auto word = [&](int i) -> std::string {
    if (i + 1 >= argc) fail("too few arguments; see the top of load.cc");
    return argv[i + 1];
  };
  // As many connections as the hard limit lets us have.
  rlimit descriptors;
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);

  const std::string what = word(0);
  if (what == "serve") {
    Servers().run();
  } else if (what == "up" || what == "down") {
    bulk(what == "up", word(1), std::stoi(word(2)), std::stod(word(3)), word(4));
  } else if (what == "trips") {
    trips(word(1), std::stoul(word(2)), word(3));
  } else if (what == "connections") {
    connections(word(1), std::stoul(word(2)), word(3));
  } else if (what == "udp") {
    udp(word(1), word(2), std::stod(word(3)), word(4));
  } else if (what == "dns") {
    dns(word(1), word(2), std::stod(word(3)), word(4));
  } else if (what == "idle") {
    idle(word(1), std::stoul(word(2)), std::stod(word(3)));
  } else {
    fail("unknown: " + what);
  }
  return 0;
}
