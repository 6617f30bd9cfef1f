// Floods a gateway, or a sink that stands in for it, at a steady pace, while another client's round trips are measured
// through the gateway.
//
//   flood GATEWAY TARGET KEY HOSTILE STEADY ECHO KIND COUNT PER_SECOND
//       GATEWAY, TARGET, ECHO: IPv4:PORT; the hostile datagrams go to TARGET, which is GATEWAY or a sink.
//       KEY: the gateway's public key. HOSTILE (10.7.0.2) and STEADY (10.7.0.3): private keys of two of its peers.
//       ECHO: answers datagrams, behind the gateway. KIND: a row of kKinds. COUNT 0: no flood, for two seconds.
//       Prints one JSON object.
//   flood sink IPv4:PORT     takes what comes and drops it; "ready" when it does
//   flood echo IPv4:PORT     gives it back
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

#include "caller.h"
#include "crypto/key_text.h"
#include "wire/udp.h"

namespace slipgate::bench {
namespace {

using Random = std::mt19937;

constexpr size_t kLargest = 1420;  // inside packet

double wall_seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

sockaddr_in socket_address(const std::string &text) {
  const std::optional<Endpoint> endpoint = Endpoint::parse(text);
  if (!endpoint || !endpoint->address.is_v4()) fail(text + " is not IPv4:PORT");
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(endpoint->port);
  std::memcpy(&at.sin_addr, endpoint->address.v4_bytes().data(), 4);
  return at;
}

int udp_socket() {
  const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail("no socket");
  return descriptor;
}

void connect_to(int descriptor, const sockaddr_in &to) {
  if (connect(descriptor, reinterpret_cast<const sockaddr *>(&to), sizeof(to)) != 0) fail("connect");
}

// --- the far ends ---------------------------------------------------------------------------------------------------

[[noreturn]] void serve(const std::string &where, bool echo) {
  const int descriptor = udp_socket();
  const sockaddr_in at = socket_address(where);
  if (bind(descriptor, reinterpret_cast<const sockaddr *>(&at), sizeof(at)) != 0) fail("cannot bind " + where);
  std::printf("ready\n");
  std::fflush(stdout);
  std::array<uint8_t, 65536> buffer;
  while (true) {
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    const ssize_t size =
        recvfrom(descriptor, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr *>(&from), &length);
    if (size < 0 || !echo) continue;
    sendto(descriptor, buffer.data(), static_cast<size_t>(size), 0, reinterpret_cast<const sockaddr *>(&from), length);
  }
}

// --- inside packets -------------------------------------------------------------------------------------------------

const IpAddress kHostile = IpAddress::v4(10, 7, 0, 2);
const IpAddress kSteady = IpAddress::v4(10, 7, 0, 3);
const IpAddress kGateway = IpAddress::v4(10, 7, 0, 1);
const IpAddress kServer = IpAddress::v4(203, 0, 113, 2);
const IpAddress kBlackHole = IpAddress::v4(203, 0, 113, 66);
constexpr uint16_t kDiscard = 9;

// Writes the IPv4 header; the payload's place.
uint8_t *begin_packet(uint8_t *at, const IpAddress &from, const IpAddress &to, Protocol protocol, size_t payload,
                      uint16_t fragment = 0, uint32_t identification = 0) {
  IpFields fields;
  fields.source = from;
  fields.destination = to;
  fields.protocol = static_cast<uint8_t>(protocol);
  fields.dont_fragment = false;
  fields.identification = identification;
  write_ip_header(at, fields, payload, fragment);
  return at + sizeof(Ipv4Header);
}

size_t udp_packet(uint8_t *at, const Endpoint &from, const Endpoint &to, Bytes payload) {
  const size_t length = sizeof(UdpHeader) + payload.size();
  uint8_t *body = begin_packet(at, from.address, to.address, Protocol::udp, length);
  const UdpHeader header{from.port, to.port, static_cast<uint16_t>(length), uint16_t{0}};
  std::memcpy(body, &header, sizeof(header));
  std::copy(payload.begin(), payload.end(), body + sizeof(header));
  return sizeof(Ipv4Header) + length;
}

size_t tcp_packet(uint8_t *at, const Endpoint &from, const Endpoint &to, uint8_t flags, uint32_t sequence) {
  uint8_t *body = begin_packet(at, from.address, to.address, Protocol::tcp, sizeof(TcpHeader));
  const TcpHeader header{.source_port = from.port,
                         .destination_port = to.port,
                         .sequence = sequence,
                         .acknowledgment = uint32_t{1},
                         .data_offset = 5 << 4,
                         .flags = flags,
                         .window = uint16_t{0xffff},
                         .checksum = uint16_t{0},  // what came through WireGuard is not summed again
                         .urgent_pointer = uint16_t{0}};
  std::memcpy(body, &header, sizeof(header));
  return sizeof(Ipv4Header) + sizeof(header);
}

uint16_t some_port(uint32_t number) {
  return static_cast<uint16_t>(1024 + number % 64000);
}

size_t syn(Random &random, uint32_t number, uint8_t *at) {
  return tcp_packet(at, {kHostile, some_port(number)}, {kBlackHole, static_cast<uint16_t>(80 + number / 64000)},
                    TcpHeader::kSyn, static_cast<uint32_t>(random()));
}

// Of no connection: each is worth an RST.
size_t stray_segment(Random &random, uint32_t number, uint8_t *at) {
  return tcp_packet(at, {kHostile, some_port(number)}, {kServer, 80}, TcpHeader::kAck, static_cast<uint32_t>(random()));
}

size_t dns_query(Random &random, uint32_t number, uint8_t *at) {
  std::vector<uint8_t> query = {uint8_t(number >> 8), uint8_t(number), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 12};
  for (int i = 0; i < 12; i++) query.push_back(static_cast<uint8_t>('a' + random() % 26));
  for (const char *label : {"hole", "test"}) {
    query.push_back(4);
    query.insert(query.end(), label, label + 4);
  }
  for (uint8_t byte : {0, 0, 1, 0, 1}) query.push_back(byte);
  return udp_packet(at, {kHostile, some_port(number)}, {kGateway, 53}, query);
}

// The first of a datagram, the others of which never come.
size_t fragment(Random &, uint32_t number, uint8_t *at) {
  constexpr size_t kPayload = 1200;
  uint8_t *body = begin_packet(at, kHostile, kServer, Protocol::udp, kPayload, Ipv4Header::kMoreFragments, number);
  std::fill_n(body, kPayload, 'f');
  return sizeof(Ipv4Header) + kPayload;
}

// Each from another port: a mapping, a socket of the host.
size_t mapping(Random &, uint32_t number, uint8_t *at) {
  constexpr std::array<uint8_t, 20> kPayload{};
  return udp_packet(at, {kHostile, some_port(number)}, {kServer, kDiscard}, kPayload);
}

// As much as one flow can carry, to a port where nobody reads.
size_t bulk(Random &, uint32_t, uint8_t *at) {
  constexpr std::array<uint8_t, 1392> kPayload{};
  return udp_packet(at, {kHostile, 4000}, {kServer, kDiscard}, kPayload);
}

// --- what strangers send --------------------------------------------------------------------------------------------

size_t garbage(Random &random, uint32_t, uint8_t *at) {
  const size_t size = 1 + random() % 1200;
  for (size_t i = 0; i < size; i += 4) {
    const auto word = static_cast<uint32_t>(random());
    std::memcpy(at + i, &word, 4);
  }
  // Half of it looks like a transport message at first.
  if (size >= 4 && random() % 2) std::memcpy(at, "\4\0\0\0", 4);
  return size;
}

size_t bad_initiation(Random &random, uint32_t, uint8_t *at) {
  WireGuardInitiation message;
  auto *bytes = reinterpret_cast<uint8_t *>(&message);
  for (size_t i = 0; i < sizeof(message); i++) bytes[i] = static_cast<uint8_t>(random());
  message.type = static_cast<uint32_t>(WireGuardType::initiation);
  std::memcpy(at, &message, sizeof(message));
  return sizeof(message);
}

struct Kind {
  std::string_view name;
  size_t (*make)(Random &random, uint32_t number, uint8_t *at);
  bool inside;  // by the hostile peer, else by a stranger
};

constexpr Kind kKinds[] = {
    {"none", mapping, true},       {"syns", syn, true},           {"segments", stray_segment, true},
    {"dns", dns_query, true},      {"fragments", fragment, true}, {"mappings", mapping, true},
    {"bulk", bulk, true},          {"garbage", garbage, false},   {"initiations", bad_initiation, false},
    {"handshakes", nullptr, false}};

// --- a peer ---------------------------------------------------------------------------------------------------------

class Peer {
 public:
  Peer(const wireguard::PublicKey &gateway, const std::string &key, uint32_t number, const sockaddr_in &at)
      : caller_(gateway, number, private_key(key)), descriptor_(udp_socket()) {
    connect_to(descriptor_, at);
    const WireGuardInitiation message = caller_.initiation(BootClock::now());
    std::array<uint8_t, 2048> answer;
    for (int attempt = 0; attempt < 50; attempt++) {
      if (::send(descriptor_, &message, sizeof(message), 0) < 0) continue;
      pollfd waiting{descriptor_, POLLIN, 0};
      if (poll(&waiting, 1, 200) <= 0) continue;
      const ssize_t size = recv(descriptor_, answer.data(), answer.size(), 0);
      if (size != sizeof(WireGuardResponse)) continue;
      caller_.response({answer.data(), static_cast<size_t>(size)});
      return;
    }
    fail("the gateway does not answer a handshake");
  }

  int descriptor() const { return descriptor_; }
  // A datagram with the inside packet that is written at `packet`'s data.
  void seal(Packet &packet) { caller_.seal(packet); }
  Bytes open(Packet &packet) { return caller_.open(packet); }

 private:
  static Secret<32> private_key(const std::string &text) {
    std::optional<Secret<32>> key = key_from_base64(text);
    if (!key) fail("no private key");
    return *key;
  }

  Caller caller_;
  const int descriptor_;
};

// --- round trips of the steady client -------------------------------------------------------------------------------

struct Trips {
  size_t sent = 0, answered = 0;
  double median = 0, most = 0;  // microseconds; a lost one took for ever
};

Trips measure(Peer &peer, const Endpoint &echo, const std::atomic<bool> &ended) {
  constexpr double kBetween = 0.002;
  BufferPool pool(2048, 64, 8);
  std::vector<double> at, took;
  double next = wall_seconds();
  double patience = 0;  // after the end, for the last answers
  while (true) {
    double now = wall_seconds();
    if (ended && patience == 0) patience = now + 0.2;
    if (patience != 0 && now > patience) break;
    if (patience == 0 && now >= next) {
      std::array<uint8_t, 64> payload{};
      const auto number = static_cast<uint32_t>(at.size());
      std::memcpy(payload.data(), &number, sizeof(number));
      Packet packet = pool.allocate(kLargest);
      packet.resize(udp_packet(packet.data(), {kSteady, 40000}, echo, payload));
      peer.seal(packet);
      at.push_back(now);
      took.push_back(1e9);
      send(peer.descriptor(), packet.data(), packet.size(), MSG_DONTWAIT);
      next = std::max(next + kBetween, now);
    }
    pollfd waiting{peer.descriptor(), POLLIN, 0};
    const double left = std::max(0.0, (patience != 0 ? patience : next) - wall_seconds());
    const timespec time{static_cast<time_t>(left), static_cast<long>(left * 1e9) % 1000000000};
    if (ppoll(&waiting, 1, &time, nullptr) <= 0) continue;
    Packet packet = pool.allocate(kLargest);
    const ssize_t size = recv(peer.descriptor(), packet.data(), kLargest + 64, MSG_DONTWAIT);
    const double arrived = wall_seconds();
    if (size < static_cast<ssize_t>(sizeof(WireGuardTransport) + kAeadTag)) continue;
    packet.resize(static_cast<size_t>(size));
    const Bytes inside = peer.open(packet);
    constexpr size_t kHeaders = sizeof(Ipv4Header) + sizeof(UdpHeader);
    uint32_t number = 0;
    if (inside.size() < kHeaders + sizeof(number)) continue;
    std::memcpy(&number, inside.data() + kHeaders, sizeof(number));
    if (number < at.size()) took[number] = (arrived - at[number]) * 1e6;
  }
  Trips trips{.sent = took.size()};
  std::sort(took.begin(), took.end());
  for (double each : took) trips.answered += each < 1e9;
  if (!took.empty()) {
    trips.median = took[took.size() / 2];
    trips.most = took[took.size() * 99 / 100];
  }
  return trips;
}

// --- the flood ------------------------------------------------------------------------------------------------------

// Strangers who know the gateway's key: each costs it the work of a handshake's first half, if it does it.
std::vector<WireGuardInitiation> strangers(const wireguard::PublicKey &gateway) {
  std::vector<WireGuardInitiation> messages;
  for (uint32_t i = 0; i < 64; i++) messages.push_back(Caller(gateway, i).initiation(BootClock::now()));
  return messages;
}

class Flood {
 public:
  Flood(const Kind &kind, Peer &peer, const wireguard::PublicKey &gateway, const sockaddr_in &to)
      : kind_(kind), peer_(peer), descriptor_(udp_socket()) {
    connect_to(descriptor_, to);
    if (!kind.make) strangers_ = strangers(gateway);
  }

  // So many, in bursts of a millisecond. The seconds that it took.
  double run(uint32_t count, double per_second) {
    const double start = wall_seconds();
    uint32_t sent = 0;
    while (sent < count) {
      const double due = std::min<double>(count, (wall_seconds() - start) * per_second + 1);
      while (sent < due) sent += burst(sent, std::min<size_t>(kAtOnce, static_cast<size_t>(due) - sent));
      const timespec pause{0, 1'000'000};
      if (sent < count) nanosleep(&pause, nullptr);
    }
    return wall_seconds() - start;
  }

 private:
  static constexpr size_t kAtOnce = 64;

  uint32_t burst(uint32_t first, size_t count) {
    if (count == 0) return 1;
    std::array<Packet, kAtOnce> packets;
    std::array<iovec, kAtOnce> pieces;
    std::array<mmsghdr, kAtOnce> messages{};
    for (size_t i = 0; i < count; i++) {
      const uint32_t number = first + static_cast<uint32_t>(i);
      Packet &packet = packets[i] = pool_.allocate(kLargest);
      if (!kind_.make) {
        const WireGuardInitiation &message = strangers_[number % strangers_.size()];
        std::memcpy(packet.data(), &message, sizeof(message));
        packet.resize(sizeof(message));
      } else {
        packet.resize(kind_.make(random_, number, packet.data()));
        if (kind_.inside) peer_.seal(packet);
      }
      pieces[i] = {packet.data(), packet.size()};
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    // An error is an ICMP message about an earlier one: the flood goes on.
    for (size_t done = 0; done < count;) {
      const int sent = sendmmsg(descriptor_, messages.data() + done, static_cast<unsigned>(count - done), 0);
      if (sent > 0) done += static_cast<size_t>(sent);
    }
    return static_cast<uint32_t>(count);
  }

  const Kind &kind_;
  Peer &peer_;
  const int descriptor_;
  BufferPool pool_{2048, 2 * kAtOnce, kAtOnce};
  Random random_{1};
  std::vector<WireGuardInitiation> strangers_;
};

void flood(const std::vector<std::string> &words) {
  const sockaddr_in gateway = socket_address(words[0]), target = socket_address(words[1]);
  const std::optional<Secret<32>> key = key_from_base64(words[2]);
  const std::optional<Endpoint> echo = Endpoint::parse(words[5]);
  const Kind *kind =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind &k) { return k.name == words[6]; });
  if (!key || !echo || kind == std::end(kKinds)) fail("what?");
  const auto count = static_cast<uint32_t>(std::stoul(words[7]));
  const double per_second = std::stod(words[8]);

  const wireguard::PublicKey public_key = public_bytes(*key);
  Peer steady(public_key, words[4], 1, gateway);
  Peer hostile(public_key, words[3], 0, gateway);
  Flood flood(*kind, hostile, public_key, target);
  std::atomic<bool> ended = false;
  Trips trips;
  std::thread measuring([&] { trips = measure(steady, *echo, ended); });
  double took = 2;
  if (count == 0) {
    sleep(2);
  } else {
    took = flood.run(count, per_second);
  }
  ended = true;
  measuring.join();
  std::printf(
      "{\"count\": %u, \"seconds\": %.3f, \"asked\": %zu, \"answered\": %zu, \"median_us\": %.1f, \"p99_us\": %.1f}\n",
      count, took, trips.sent, trips.answered, trips.median, trips.most);
}

}  // namespace
}  // namespace slipgate::bench

int main(int argc, char **argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  using namespace slipgate::bench;
  if (words.size() == 2 && (words[0] == "sink" || words[0] == "echo")) serve(words[1], words[0] == "echo");
  if (words.size() != 9) fail("usage: flood GATEWAY TARGET KEY HOSTILE STEADY ECHO KIND COUNT PER_SECOND");
  flood(words);
}
