// A bad network between a UDP client and a server, in user space: loss, delay, a bottleneck with a queue, reordering;
// all from a seed, so that two runs lose the same packets by number.
//
//   relay --listen IP:PORT[,IP:PORT...] --to IP:PORT[,IP:PORT...] [--seed N] [--delay MS] [--loss P] [--reorder P]
//   [--reorder-by MS]
//         [--rate MBIT] [--queue MS] [--up-loss P]
//
// The address that last sent to --listen is the client; several pairs share the paths, the bottleneck too. `delay` is
// one way, each way; loss, reordering and the bottleneck are towards the client unless the name says otherwise. Prints
// what passed when it is ended (SIGTERM).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Nanoseconds = std::chrono::nanoseconds;

volatile sig_atomic_t ended = 0;

sockaddr_in address(const std::string &text) {
  size_t colon = text.rfind(':');
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<uint16_t>(std::atoi(text.c_str() + colon + 1)));
  if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &result.sin_addr) != 1) std::exit(2);
  return result;
}

std::vector<sockaddr_in> addresses(const std::string &text) {
  std::vector<sockaddr_in> result;
  for (size_t at = 0; at <= text.size();) {
    size_t comma = std::min(text.find(',', at), text.size());
    result.push_back(address(text.substr(at, comma - at)));
    at = comma + 1;
  }
  return result;
}

struct Datagram {
  Time due;
  uint64_t number;
  size_t pair;
  std::vector<uint8_t> bytes;
};
struct Later {
  bool operator()(const Datagram *a, const Datagram *b) const {
    return a->due != b->due ? a->due > b->due : a->number > b->number;
  }
};

// One direction.
struct Path {
  double loss = 0, reorder = 0;
  Nanoseconds delay{}, reorder_by{}, queue{};
  double bytes_per_second = 0;  // 0: no bottleneck
  std::mt19937_64 random;
  Time free_at{};
  uint64_t number = 0, lost = 0, overflowed = 0, passed = 0, bytes = 0;
  std::priority_queue<Datagram *, std::vector<Datagram *>, Later> flying;
  std::vector<Datagram *> spare;

  bool chance(double probability) {
    return probability > 0 && std::uniform_real_distribution<>(0, 1)(random) < probability;
  }

  void take(size_t pair, const uint8_t *data, size_t size, Time now) {
    number++;
    // Drawn for every packet, so that a decision does not shift those that follow.
    bool drop = chance(loss), late = chance(reorder);
    // Small packets (handshakes, acknowledgments) pass: a run must not begin with a lost handshake.
    if (drop && size > 200) {
      lost++;
      return;
    }
    Time leaves = now;
    if (bytes_per_second > 0) {
      free_at = std::max(free_at, now);
      if (free_at - now > queue) {
        overflowed++;
        return;
      }
      free_at += Nanoseconds(static_cast<int64_t>(static_cast<double>(size) * 1e9 / bytes_per_second));
      leaves = free_at;
    }
    Datagram *datagram = new_datagram();
    datagram->due = leaves + delay + (late ? reorder_by : Nanoseconds{});
    datagram->number = number;
    datagram->pair = pair;
    datagram->bytes.assign(data, data + size);
    flying.push(datagram);
  }

  Datagram *new_datagram() {
    if (spare.empty()) return new Datagram;
    Datagram *datagram = spare.back();
    spare.pop_back();
    return datagram;
  }

  // Sends what is due; runs of one size as one call.
  void send(const std::vector<int> &sockets, const std::vector<sockaddr_in> &to, Time now) {
    while (!flying.empty() && flying.top()->due <= now) {
      uint8_t joined[65000];
      size_t size = flying.top()->bytes.size(), total = 0, count = 0, pair = flying.top()->pair;
      while (!flying.empty() && flying.top()->due <= now && count < 40 && total + size < sizeof(joined)) {
        Datagram *datagram = flying.top();
        if (datagram->bytes.size() > size || datagram->pair != pair) break;
        bool last = datagram->bytes.size() < size;
        std::memcpy(joined + total, datagram->bytes.data(), datagram->bytes.size());
        total += datagram->bytes.size();
        count++;
        passed++;
        flying.pop();
        spare.push_back(datagram);
        if (last) break;
      }
      bytes += total;
      iovec piece{joined, total};
      msghdr message{};
      message.msg_name = const_cast<sockaddr_in *>(&to[pair]);
      message.msg_namelen = sizeof(to[pair]);
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))] = {};
      if (count > 1) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_UDP;
        header->cmsg_type = UDP_SEGMENT;
        header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t segment = static_cast<uint16_t>(size);
        std::memcpy(CMSG_DATA(header), &segment, sizeof(segment));
      }
      if (to[pair].sin_port == 0) continue;
      if (sendmsg(sockets[pair], &message, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
        std::perror("relay: send");
    }
  }
};

// What is there, joined by the kernel where it can.
template <typename Take>
void receive(int socket, const Take &take) {
  static uint8_t buffer[65536];
  for (int i = 0; i < 64; i++) {
    sockaddr_in from{};
    iovec piece{buffer, sizeof(buffer)};
    msghdr message{};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    message.msg_name = &from;
    message.msg_namelen = sizeof(from);
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ssize_t size = recvmsg(socket, &message, MSG_DONTWAIT);
    if (size < 0) return;
    size_t segment = static_cast<size_t>(size);
    for (cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
        int value;
        std::memcpy(&value, CMSG_DATA(header), sizeof(value));
        segment = static_cast<size_t>(value);
      }
    }
    for (size_t at = 0; at < static_cast<size_t>(size); at += segment) {
      take(from, buffer + at, std::min(segment, static_cast<size_t>(size) - at));
    }
  }
}

int udp_socket() {
  int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int large = 16 << 20, one = 1;
  for (int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) setsockopt(socket, SOL_SOCKET, option, &large, sizeof(large));
  setsockopt(socket, SOL_UDP, UDP_GRO, &one, sizeof(one));
  return socket;
}

}  // namespace

int main(int argc, char **argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  auto number = [&](const char *name) { return options.count(name) ? std::atof(options[name].c_str()) : 0.0; };
  auto milliseconds = [&](const char *name) { return Nanoseconds(static_cast<int64_t>(number(name) * 1e6)); };
  if (!options.count("--listen") || !options.count("--to")) return 2;
  std::vector<sockaddr_in> listen = addresses(options["--listen"]), servers = addresses(options["--to"]);
  if (listen.size() != servers.size()) return 2;
  std::vector<sockaddr_in> clients(listen.size());
  Path down, up;
  uint64_t seed = static_cast<uint64_t>(number("--seed"));
  down.random.seed(seed * 2 + 1);
  up.random.seed(seed * 2 + 2);
  down.delay = up.delay = milliseconds("--delay");
  down.loss = number("--loss");
  up.loss = number("--up-loss");
  down.reorder = number("--reorder");
  down.reorder_by = milliseconds("--reorder-by");
  down.bytes_per_second = number("--rate") * 1e6 / 8;
  down.queue = milliseconds("--queue");

  std::vector<int> outside, inside;
  for (const sockaddr_in &here : listen) {
    outside.push_back(udp_socket());
    inside.push_back(udp_socket());
    if (bind(outside.back(), reinterpret_cast<const sockaddr *>(&here), sizeof(here)) != 0) {
      std::perror("relay: bind");
      return 1;
    }
  }
  struct sigaction action {};
  action.sa_handler = [](int) { ended = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  std::puts("ready");
  std::fflush(stdout);

  while (!ended) {
    Time next = Time::max();
    for (Path *path : {&down, &up}) {
      if (!path->flying.empty()) next = std::min(next, path->flying.top()->due);
    }
    itimerspec when{};
    if (next != Time::max()) {
      int64_t nanoseconds = std::max<int64_t>(next.time_since_epoch().count(), 1);
      when.it_value.tv_sec = nanoseconds / 1'000'000'000;
      when.it_value.tv_nsec = nanoseconds % 1'000'000'000;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr);
    std::vector<pollfd> ready{{timer, POLLIN, 0}};
    for (size_t pair = 0; pair < listen.size(); pair++) {
      ready.push_back({outside[pair], POLLIN, 0});
      ready.push_back({inside[pair], POLLIN, 0});
    }
    if (poll(ready.data(), ready.size(), -1) < 0) continue;
    uint64_t expirations;
    if (ready[0].revents && read(timer, &expirations, sizeof(expirations)) < 0) expirations = 0;
    Time now = Clock::now();
    for (size_t pair = 0; pair < listen.size(); pair++) {
      receive(outside[pair], [&](const sockaddr_in &from, const uint8_t *data, size_t size) {
        clients[pair] = from;
        up.take(pair, data, size, now);
      });
      receive(inside[pair],
              [&](const sockaddr_in &, const uint8_t *data, size_t size) { down.take(pair, data, size, now); });
    }
    now = Clock::now();
    up.send(inside, servers, now);
    down.send(outside, clients, now);
  }
  std::printf("down: %lu packets, %lu lost, %lu overflowed; up: %lu packets, %lu lost\n",
              static_cast<unsigned long>(down.number), static_cast<unsigned long>(down.lost),
              static_cast<unsigned long>(down.overflowed), static_cast<unsigned long>(up.number),
              static_cast<unsigned long>(up.lost));
  return 0;
}
