// What is measured within one process: the gateway's side of the path from WireGuard's datagrams to streams, and back,
// on CPU time alone. The datagrams are made beforehand by callers without a stack (rig.h), so that their cost is not
// in the figures.
//
//   inside [--smoke] [aead]     prints one JSON object a line: {"what": ..., figures}; aead: only the AEAD, in 0.2 s
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "caller.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "host/tcp.h"
#include "io/loop.h"
#include "io/relay.h"
#include "io/task.h"
#include "link/link.h"
#include "rig.h"
#include "shard/shard.h"
#include "wireguard/device.h"

namespace slipgate::bench {
namespace {

double seconds_of(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}
double cpu_seconds() {
  return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}
double wall_seconds() {
  return seconds_of(CLOCK_MONOTONIC);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// --- the AEAD alone -------------------------------------------------------------------------------------------------

constexpr size_t kDatagram = sizeof(WireGuardTransport) + kFullPacket + kAeadTag;

struct AeadLoop {
  explicit AeadLoop(AeadEngine engine = best_aead_engine()) : key(Secret<32>(), engine) {}

  AeadKey key;
  // As much memory as a batch of datagrams: what matters is where the bytes come from.
  std::vector<uint8_t> bytes = std::vector<uint8_t>(64 * 2048);
  uint64_t counter = 0;

  MutableBytes message(size_t i) { return {bytes.data() + i % 64 * 2048, kFullPacket + kAeadTag}; }
  // CPU seconds of each
  double seal(size_t count) {
    const double start = cpu_seconds();
    for (size_t i = 0; i < count; i++) key.seal(counter++, message(i));
    return (cpu_seconds() - start) / static_cast<double>(count);
  }
  double open(size_t count) {
    double used = 0;
    for (size_t done = 0; done < count; done += 64) {
      for (size_t i = 0; i < 64; i++) key.seal(i, message(i));
      const double start = cpu_seconds();
      for (size_t i = 0; i < 64; i++) {
        if (!key.open(i, message(i))) fail("the AEAD does not open what it sealed");
      }
      used += cpu_seconds() - start;
    }
    return used / static_cast<double>(count);
  }
};

// What the gateway uses, and BoringSSL beside it, which every machine has. GB of what streams carry would be 3 % less:
// the ratio counts the same bytes on both sides.
void aead(size_t count) {
  const std::array<std::pair<const char *, AeadEngine>, 2> engines = {
      {{"aead", best_aead_engine()}, {"aead boringssl", AeadEngine::boringssl}}};
  for (const auto &[what, engine] : engines) {
    AeadLoop loop(engine);
    loop.seal(count / 10);
    std::vector<double> seal, open;
    for (int i = 0; i < 5; i++) {
      seal.push_back(loop.seal(count));
      open.push_back(loop.open(count));
    }
    std::printf(
        "{\"what\": \"%s\", \"seal_ns\": %.1f, \"open_ns\": %.1f, \"seal_per_gb\": %.4f, \"open_per_gb\": %.4f}\n",
        what, median(seal) * 1e9, median(open) * 1e9, median(seal) / kFullPacket * 1e9,
        median(open) / kFullPacket * 1e9);
  }
  std::fflush(stdout);
}

// --- callers and the gateway ----------------------------------------------------------------------------------------

// The gateway's side: the device, the shard and its stack as WireGuardLink joins them, with memory for a socket.
class Gateway final : public Link {
 public:
  struct Arrival {
    Packet packet;
    DatagramPath path;
  };

  Gateway(size_t peers, size_t connections, bool writes = false)
      : services(writes), client(connections, peers), shard(loop_, stack_config(connections), services) {
    wireguard::DeviceConfig config;
    config.private_key = generate_private_key();
    config.wall_offset = seconds(1'700'000'000);
    const wireguard::Identity identity(config.private_key);
    for (size_t i = 0; i < peers; i++) {
      callers.push_back(std::make_unique<Caller>(identity.public_key, static_cast<uint32_t>(i)));
      wireguard::PeerConfig peer;
      peer.public_key = callers[i]->public_key();
      peer.allowed_ips = {IpPrefix(TcpClient::address_of(i), 32)};
      config.peers.push_back(peer);
    }
    device = std::make_unique<wireguard::Device>(config, pool, counters, now);
    shard.attach(*this);
  }
  ~Gateway() override {
    services.forget_streams();
    loop_.abandon();
  }

  Services services;
  TcpClient client;
  std::vector<std::unique_ptr<Caller>> callers;
  Counters counters;
  BufferPool pool{2048, 1 << 17, 1 << 14};
  std::unique_ptr<wireguard::Device> device;
  std::vector<Arrival> sent;  // datagrams to callers
  Time now{hours(1)};
  Loop &loop() { return loop_; }

  // One turn over these datagrams.
  void turn(std::span<Arrival> arrivals) {
    for (Arrival &arrival : arrivals) device->receive(std::move(arrival.packet), arrival.path, now, output_);
    take_datagrams();
    if (!output_.packets.empty()) {
      arrived_.swap(output_.packets);
      shard.from_link(arrived_);
      arrived_.clear();
    }
    shard.on_turn_end();
  }
  void send(std::span<Packet> packets) override {
    for (Packet &packet : packets) device->send(std::move(packet), now, output_);
    take_datagrams();
  }
  std::string client_name(uint32_t) const override { return {}; }

  // A datagram with the inside packet that `make` writes, from this connection's caller.
  template <typename Make>
  Arrival from(size_t connection, Make make) {
    Caller &caller = *callers[client.client_of(connection)];
    Packet packet = pool.allocate(kFullPacket);
    packet.resize(make(packet.data()));
    caller.seal(packet);
    return {std::move(packet), caller.path()};
  }
  Arrival data(size_t connection) {
    return from(connection, [&](uint8_t *at) { return client.data(connection, at); });
  }

  void shake_hands(size_t peer) {
    now += milliseconds(2);  // the device admits 1,000 unproven callers a second
    Caller &caller = *callers[peer];
    const WireGuardInitiation message = caller.initiation(now);
    turn_with(message, caller.path());
    if (sent.size() != 1) fail("no answer to an initiation");
    caller.response(sent[0].packet.bytes());
    sent.clear();
  }
  template <typename Message>
  void turn_with(const Message &message, const DatagramPath &path) {
    Arrival arrival{copy_of(bytes_of(message)), path};
    turn({&arrival, 1});
  }
  Packet copy_of(Bytes bytes) {
    Packet packet = pool.allocate(bytes.size());
    std::copy(bytes.begin(), bytes.end(), packet.data());
    return packet;
  }
  // Opens every connection; sessions stand from then on.
  void open_all() {
    loop_.timers().advance(BootClock::now());
    for (size_t peer = 0; peer < callers.size(); peer++) shake_hands(peer);
    for (size_t i = 0; i < client.connections(); i++) {
      Arrival syn = from(i, [&](uint8_t *at) { return client.syn(i, at); });
      turn({&syn, 1});
      take_sent();
      if (!client.is_open(i)) fail("no SYN-ACK");
      Arrival rest = from(i, [&](uint8_t *at) { return client.acknowledgment(i, at); });
      turn({&rest, 1});
      sent.clear();
    }
  }
  // Opens what came, and gives the connections to it.
  std::vector<size_t> take_sent() {
    std::vector<size_t> connections;
    for (Arrival &datagram : sent) {
      const auto *header = view_as<WireGuardTransport>(datagram.packet.bytes());
      if (!header || header->receiver == 0 || header->receiver > callers.size()) fail("a datagram for nobody");
      Bytes packet = callers[header->receiver - 1]->open(datagram.packet);
      if (!packet.empty()) connections.push_back(client.take(packet));
    }
    sent.clear();
    return connections;
  }

 private:
  static StackConfig stack_config(size_t connections) {
    StackConfig config;
    config.max_connections = std::max(config.max_connections, connections + 16);
    fill_random({reinterpret_cast<uint8_t *>(config.secret), sizeof(config.secret)});
    return config;
  }
  void take_datagrams() {
    for (wireguard::Output::Datagram &datagram : output_.datagrams) {
      sent.push_back({std::move(datagram.packet), datagram.path});
    }
    output_.datagrams.clear();
  }

  Loop loop_;
  wireguard::Output output_;
  std::vector<Packet> arrived_;

 public:
  Shard shard;
};

// --- measurements ---------------------------------------------------------------------------------------------------

// CPU seconds for each datagram of `count`, in turns of `at_once`; `pick` says whose connection the next one is.
template <typename Pick>
double cost_per_packet(Gateway &gateway, size_t count, size_t at_once, Pick pick) {
  constexpr size_t kBatch = 256;  // made beforehand
  std::vector<Gateway::Arrival> batch;
  double used = 0;
  const uint64_t before = gateway.services.bytes;
  size_t done = 0;
  for (; done < count; done += kBatch) {
    for (size_t i = 0; i < kBatch; i++) batch.push_back(gateway.data(pick()));
    const double start = cpu_seconds();
    for (size_t i = 0; i < kBatch; i += at_once) gateway.turn(std::span(batch).subspan(i, at_once));
    used += cpu_seconds() - start;
    batch.clear();
    gateway.sent.clear();
  }
  if (gateway.services.bytes - before != done * kPayload) fail("segments were lost");
  return used / static_cast<double>(done);
}

// CPU seconds for a packet of this gateway: every one another connection's, one a turn; every turn another one's, 16 a
// turn; one busy beside the others, 16 a turn.
class Load {
 public:
  Load(size_t peers, size_t flows) : gateway_(peers, flows), flows_(flows) { gateway_.open_all(); }

  void warm_up(size_t count) {
    cost_per_packet(gateway_, count, 1, [&] { return any(); });
  }
  std::array<double, 3> costs(size_t count) {
    const double scattered = cost_per_packet(gateway_, count, 1, [&] { return any(); });
    auto in_turns = [&, connection = size_t{0}, left = 0]() mutable {
      if (left-- == 0) connection = any(), left = 15;
      return connection;
    };
    const double turns = cost_per_packet(gateway_, count, 16, in_turns);
    return {scattered, turns, cost_per_packet(gateway_, count, 16, [] { return size_t{0}; })};
  }

 private:
  size_t any() { return random_() % flows_; }

  Gateway gateway_;
  const size_t flows_;
  std::mt19937 random_{1};
};

// Each case in alternation with one flow of one peer: what neighbours do to the machine comes and goes by the second.
void flows_and_peers(size_t count, bool small) {
  struct Case {
    const char *what;
    size_t number, flows, peers;
  };
  std::vector<Case> cases = {{"flows", 1000, 1000, 1},
                             {"flows", 10000, 10000, 1},
                             {"flows", 100000, 100000, 2},
                             {"peers", 100, 100, 100},
                             {"peers", 10000, 10000, 10000}};
  if (small) cases = {{"flows", 1000, 1000, 1}, {"peers", 100, 100, 100}};
  const int runs = small ? 1 : 9;
  Load one(1, 1);
  one.warm_up(count);
  for (const Case &now : cases) {
    Load many(now.peers, now.flows);
    many.warm_up(count);
    std::array<std::vector<double>, 3> costs, ratios;
    for (int i = 0; i < runs; i++) {
      const std::array<double, 3> ours = many.costs(count), least = one.costs(count);
      for (size_t figure = 0; figure < 3; figure++) {
        costs[figure].push_back(ours[figure]);
        ratios[figure].push_back(ours[figure] / least[figure]);
      }
    }
    std::printf("{\"what\": \"cost %s\", \"number\": %zu", now.what, now.number);
    const char *const figures[] = {"scattered", "turns", "busy"};
    for (size_t figure = 0; figure < 3; figure++)
      std::printf(", \"%s_ns\": %.0f, \"%s\": %.3f", figures[figure], median(costs[figure]) * 1e9, figures[figure],
                  median(ratios[figure]));
    std::printf("}\n");
    std::fflush(stdout);
  }
}

struct Unheard final : RelayEnd {
  void on_relay_end(const RelayResult &) override {}
  Traffic &traffic() override { return moved; }
  Traffic moved;
};

void carry(Loop &loop, StreamPtr inside, StreamPtr outside) {
  relay(loop, std::move(inside), std::move(outside), hours(1), std::make_unique<Unheard>());
}

// A TCP connection on the loopback interface whose far end is read by a thread of its own.
class Drain {
 public:
  Drain() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    near_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, reinterpret_cast<sockaddr *>(&at), size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, reinterpret_cast<sockaddr *>(&at), &size) != 0 ||
        connect(near_, reinterpret_cast<sockaddr *>(&at), size) != 0)
      fail("no loopback connection");
    far_ = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    close(listener);
    thread_ = std::thread([this] {
      ssize_t count;
      while ((count = recv(far_, nullptr, 1 << 22, MSG_TRUNC)) > 0) bytes += static_cast<uint64_t>(count);
    });
  }
  ~Drain() {
    shutdown(far_, SHUT_RDWR);
    thread_.join();
    close(far_);
  }
  Fd take_near() {
    set_nonblocking(near_);
    return Fd(std::exchange(near_, -1));
  }
  std::atomic<uint64_t> bytes = 0;

 private:
  static void set_nonblocking(int descriptor);
  int near_ = -1, far_ = -1;
  std::thread thread_;
};

void Drain::set_nonblocking(int descriptor) {
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

// Single datagrams by memory, 16 a turn, to a host socket: CPU seconds per GB of what the stream carries.
void singles(size_t count) {
  std::vector<double> costs;
  for (int run = 0; run < 3; run++) {
    Gateway gateway(1, 1);
    Drain drain;
    gateway.services.on_stream = [&](StreamPtr stream) {
      Result<StreamPtr> host = make_host_stream(gateway.loop(), drain.take_near());
      if (!host) fail("no host stream");
      carry(gateway.loop(), std::move(stream), std::move(*host));
    };
    gateway.open_all();
    gateway.loop().turn({});
    double used = 0;
    std::vector<Gateway::Arrival> batch;
    constexpr size_t kTurns = 16, kAtOnce = 16;
    size_t sent = 0;
    while (sent < count) {
      for (size_t i = 0; i < kTurns * kAtOnce; i++) batch.push_back(gateway.data(0));
      const double start = cpu_seconds();
      for (size_t i = 0; i < kTurns; i++) {
        gateway.turn(std::span(batch).subspan(i * kAtOnce, kAtOnce));
        gateway.loop().turn({});
      }
      used += cpu_seconds() - start;
      batch.clear();
      gateway.sent.clear();
      sent += kTurns * kAtOnce;
      // The callers know no window: they wait until everything went on.
      for (double until = wall_seconds() + 5; drain.bytes < sent * kPayload;) {
        if (wall_seconds() > until) fail("segments were lost");
        const double waiting = cpu_seconds();
        gateway.loop().turn(milliseconds(1));
        used += drain.bytes < sent * kPayload ? 0 : cpu_seconds() - waiting;
      }
    }
    costs.push_back(used / static_cast<double>(sent * kPayload) * 1e9);
  }
  std::printf("{\"what\": \"singles\", \"cpu_per_gb\": %.3f}\n", median(costs));
}

// Handshakes as responder, and initiations with a wrong MAC, at Device::receive.
void handshakes(size_t count) {
  std::vector<double> good, bad;
  for (int run = 0; run < 3; run++) {
    Gateway gateway(count, 1);
    std::vector<WireGuardInitiation> messages;
    for (auto &caller : gateway.callers) messages.push_back(caller->initiation(gateway.now));
    wireguard::Output output;
    std::vector<Packet> packets;
    for (const WireGuardInitiation &message : messages) packets.push_back(gateway.copy_of(bytes_of(message)));
    double used = 0;
    double start = cpu_seconds();
    for (size_t i = 0; i < packets.size(); i++) {
      gateway.now += milliseconds(2);
      gateway.device->receive(std::move(packets[i]), gateway.callers[i]->path(), gateway.now, output);
    }
    used = cpu_seconds() - start;
    if (output.datagrams.size() != count) fail("an initiation was not answered");
    for (size_t i = 0; i < count; i++) gateway.callers[i]->response(output.datagrams[i].packet.bytes());
    good.push_back(static_cast<double>(count) / used);

    constexpr size_t kBatch = 1024;
    used = 0;
    for (size_t done = 0; done < count * 50; done += kBatch) {
      packets.clear();
      for (size_t i = 0; i < kBatch; i++) {
        WireGuardInitiation message = messages[(done + i) % count];
        message.macs.mac1[0] ^= 1;
        packets.push_back(gateway.copy_of(bytes_of(message)));
      }
      start = cpu_seconds();
      for (Packet &packet : packets) {
        gateway.device->receive(std::move(packet), gateway.callers[0]->path(), gateway.now, output);
      }
      used += cpu_seconds() - start;
    }
    if (output.datagrams.size() != count) fail("a wrong MAC was answered");
    bad.push_back(static_cast<double>((count * 50 + kBatch - 1) / kBatch * kBatch) / used);
  }
  std::printf("{\"what\": \"handshakes\", \"good\": %.0f, \"wrong_mac\": %.0f}\n", median(good), median(bad));
}

// --- two cores ------------------------------------------------------------------------------------------------------

// Datagrams a second that one shard opens and delivers, over the time that it worked.
double shard_rate(double length) {
  Gateway gateway(1, 1);
  gateway.open_all();
  std::vector<Gateway::Arrival> batch;
  double used = 0;
  size_t done = 0;
  for (const double until = wall_seconds() + length; wall_seconds() < until;) {
    for (size_t i = 0; i < 256; i++) batch.push_back(gateway.data(0));
    const double start = wall_seconds();
    for (size_t i = 0; i < 256; i += 32) gateway.turn(std::span(batch).subspan(i, 32));
    used += wall_seconds() - start;
    batch.clear();
    gateway.sent.clear();
    done += 256;
  }
  return static_cast<double>(done) / used;
}

double aead_rate(double length) {
  AeadLoop loop;
  size_t done = 0;
  const double start = wall_seconds();
  while (wall_seconds() < start + length) {
    for (size_t i = 0; i < 256; i++) loop.key.seal(loop.counter++, loop.message(i));
    done += 256;
  }
  return static_cast<double>(done) / (wall_seconds() - start);
}

// The sum of what two of them reach at the same time, each in a process or a thread of its own.
double in_processes(double rate(double), double length) {
  int answer[2];
  if (pipe(answer) != 0) fail("no pipe");
  const pid_t child = fork();
  if (child == 0) {
    const double mine = rate(length);
    _exit(write(answer[1], &mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
  }
  const double mine = rate(length);
  double theirs = 0;
  if (read(answer[0], &theirs, sizeof(theirs)) != sizeof(theirs)) fail("the other process has failed");
  waitpid(child, nullptr, 0);
  close(answer[0]), close(answer[1]);
  return mine + theirs;
}
double in_threads(double rate(double), double length) {
  double other = 0;
  std::thread thread([&] { other = rate(length); });
  const double mine = rate(length);
  thread.join();
  return mine + other;
}

void two_cores(double length, int runs) {
  std::vector<double> shards, aeads, ratios;
  for (int i = 0; i < runs; i++) {
    const double aead_scale = in_processes(aead_rate, length) / aead_rate(length);
    const double shard_scale = in_threads(shard_rate, length) / shard_rate(length);
    aeads.push_back(aead_scale), shards.push_back(shard_scale), ratios.push_back(shard_scale / aead_scale);
  }
  std::printf("{\"what\": \"two cores\", \"shards\": %.3f, \"aead\": %.3f, \"ratio\": %.3f, \"runs\": %d}\n",
              median(shards), median(aeads), median(ratios), runs);
}

}  // namespace
}  // namespace slipgate::bench

int main(int argc, char **argv) {
  using namespace slipgate::bench;
  const bool small = argc > 1 && std::string(argv[1]) == "--smoke";
  const bool aead_only = argc > 1 && std::string(argv[argc - 1]) == "aead";
  aead(aead_only ? 10000 : small ? 5000 : 200000);
  if (aead_only) return 0;
  singles(small ? 5000 : 300000);
  std::fflush(stdout);
  flows_and_peers(small ? 2048 : 20480, small);
  handshakes(small ? 200 : 2000);
  std::fflush(stdout);
  two_cores(small ? 0.02 : 0.3, small ? 1 : 9);
  return 0;
}
