#include "host/port_mapping.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <span>
#include <vector>

#include "io/fd.h"
#include "io/poller.h"
#include "io/socket_address.h"
#include "io/wait.h"

namespace slipgate {

namespace {

// When to say it again: RFC 6886 section 3.1's quarter of a second, doubled each time, where RFC 6887 section 8.1.1
// would wait three seconds: somebody looks on. The third wait of PCP is shorter, and NAT-PMP's turn comes.
constexpr std::array<Duration, 3> kPcpWaits{milliseconds(250), milliseconds(500), milliseconds(250)};
constexpr std::array<Duration, 3> kNatPmpWaits{milliseconds(250), milliseconds(500), milliseconds(250)};

// RFC 6887 section 15: never renew more often than every 4 s.
constexpr seconds kShortestRenewal{4};
constexpr size_t kLargestAnswer = 1100;  // RFC 6887 section 7

// Whitespace-separated words of a line of /proc.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty()) return words;
    size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <typename Handle>
void for_each_line(std::string_view text, Handle handle) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    handle(words_of(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

template <typename T>
std::optional<T> parse_hex(std::string_view text) {
  T value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Flags of a route: <linux/route.h>.
constexpr uint32_t kUp = 0x1, kGateway = 0x2, kReject = 0x200;

std::string read_file(const char *path) {
  Fd file(open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  constexpr size_t kMost = 4 << 20;
  std::array<char, 16384> piece;
  while (file && text.size() < kMost) {
    ssize_t got = read(file.get(), piece.data(), piece.size());
    if (got <= 0) break;
    text.append(piece.data(), static_cast<size_t>(got));
  }
  return text;
}

// The address that the kernel would reach the world from: no packet is sent for it.
std::optional<IpAddress> global_source_v6() {
  Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress somewhere(Endpoint{*IpAddress::parse("2000::1"), pcp::kServerPort});
  if (!socket || connect(socket.get(), &somewhere.generic, somewhere.size) != 0) return std::nullopt;
  return local_endpoint(socket.get()).address;
}

Result<Fd> open_socket(const Router &router) {
  const IpAddress &address = router.endpoint.address;
  int family = address.is_v4() ? AF_INET : AF_INET6;
  Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Error::from_errno(errno, "cannot open a socket to ask the router");
  if (!address.is_v4() && address.is_link_local()) {
    // RFC 6887 section 8.1: the mapping is for the address that the request comes from, so not for a link-local one.
    if (std::optional<IpAddress> source = global_source_v6()) {
      SocketAddress from(Endpoint{*source, 0});
      if (bind(socket.get(), &from.generic, from.size) != 0) return Error::from_errno(errno, "cannot ask the router");
    }
  }
  SocketAddress to(router.endpoint, family, router.interface);
  if (connect(socket.get(), &to.generic, to.size) != 0) return Error::from_errno(errno, "cannot ask the router");
  return socket;
}

// One question to a router: the connected socket, what is to be sent, and what has come back.
class Exchange final : public Pollable {
 public:
  Exchange(Loop &loop, Fd socket) : loop_(loop), socket_(std::move(socket)), readable_(loop) {}
  ~Exchange() {
    if (watched_) loop_.poller().remove(socket_.get(), *this);
  }

  Result<void> watch() {
    Result<void> added = loop_.poller().add(socket_.get(), *this);
    watched_ = static_cast<bool>(added);
    return added;
  }
  IpAddress source() const { return local_endpoint(socket_.get()).address; }
  // A failure (ECONNREFUSED of the last one, no buffer) is not the end: it is said again.
  void send(Bytes message) { (void)!::send(socket_.get(), message.data(), message.size(), 0); }
  // The next answer until `until`; nothing then. ECONNREFUSED: nobody listens there.
  Task<std::optional<Result<pcp::Answer>>> next(Time until);

  void on_events(uint32_t) override { readable_.notify(); }

 private:
  Loop &loop_;
  Fd socket_;
  Event readable_;
  bool watched_ = false;
};

Task<std::optional<Result<pcp::Answer>>> Exchange::next(Time until) {
  for (;;) {
    std::array<uint8_t, kLargestAnswer> message;
    ssize_t size = recv(socket_.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (size >= 0) {
      std::optional<pcp::Answer> answer = pcp::parse_answer(Bytes(message).first(static_cast<size_t>(size)));
      if (answer) co_return std::optional<Result<pcp::Answer>>(*answer);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return std::optional<Result<pcp::Answer>>(Error::from_errno(errno, "router"));
    Woken woken = co_await readable_.wait(until);
    if (woken == Woken::cancelled) {
      co_return std::optional<Result<pcp::Answer>>(Error::from_errno(ECANCELED, "asking the router"));
    }
    if (woken == Woken::timed_out) co_return std::nullopt;
  }
}

// What the answers so far make of the question.
enum class Step { wait, done, refused, try_nat_pmp };

Step take_pcp(const pcp::Answer &answer, PortMapping &mapping, uint16_t &result) {
  if (const pcp::Mapped *mapped = std::get_if<pcp::Mapped>(&answer)) {
    // RFC 6887 section 11.4: the nonce shows that it is ours.
    if (mapped->nonce != mapping.nonce || mapped->internal_port != mapping.internal_port) return Step::wait;
    mapping.external = mapped->external;
    mapping.lifetime = seconds(mapped->lifetime);
    return Step::done;
  }
  const pcp::Refused *refused = std::get_if<pcp::Refused>(&answer);
  if (!refused) return Step::wait;
  // RFC 6887 section 9, RFC 6886 section 3.5: a router that knows NAT-PMP alone refuses in NAT-PMP's version.
  if (refused->version == pcp::kNatPmpVersion || refused->result == pcp::UNSUPP_VERSION) return Step::try_nat_pmp;
  if (refused->nonce && *refused->nonce != mapping.nonce) return Step::wait;
  result = refused->result;
  return Step::refused;
}

Step take_nat_pmp(const pcp::Answer &answer, PortMapping &mapping, uint16_t &result) {
  if (const pcp::NatPmpAddress *address = std::get_if<pcp::NatPmpAddress>(&answer)) {
    mapping.external.address = address->external;
  } else if (const pcp::NatPmpMapped *mapped = std::get_if<pcp::NatPmpMapped>(&answer)) {
    if (mapped->internal_port != mapping.internal_port) return Step::wait;
    mapping.external.port = mapped->external_port;
    mapping.lifetime = seconds(mapped->lifetime);
  } else if (const pcp::Refused *refused = std::get_if<pcp::Refused>(&answer)) {
    if (refused->version != pcp::kNatPmpVersion) return Step::wait;  // PCP's, late
    // Also UNSUPP_VERSION: late for PCP's second request, or it speaks neither. Only the latter goes on saying it.
    if (refused->result == pcp::UNSUPP_VERSION) return Step::wait;
    result = refused->result;
    return Step::refused;
  }
  bool whole = mapping.external.port != 0 && !mapping.external.address.is_unspecified();
  return whole ? Step::done : Step::wait;
}

Error no_answer(const Router &router) {
  return {ETIMEDOUT, fmt::format("router {} answers neither PCP nor NAT-PMP", router.endpoint.address.to_string())};
}

Error refusal(const Router &router, const char *protocol, uint16_t result) {
  return {EACCES, fmt::format("router {} refuses to map the port ({} result code {})",
                              router.endpoint.address.to_string(), protocol, result)};
}

// Sends `messages` again after each of `waits`, and gives every answer to `take` until one decides.
using Take = Step (*)(const pcp::Answer &, PortMapping &, uint16_t &);

struct Decided {
  Step step = Step::wait;
  int error = 0;
  uint16_t result = 0;
};

Task<Decided> converse(Loop &loop, Exchange &exchange, std::vector<Bytes> messages, std::span<const Duration> waits,
                       Take take, PortMapping &mapping) {
  Decided decided;
  for (Duration wait : waits) {
    for (Bytes message : messages) exchange.send(message);
    Time until = loop.now() + wait;
    for (;;) {
      std::optional<Result<pcp::Answer>> answer = co_await exchange.next(until);
      if (!answer) break;
      if (!*answer) {
        decided.error = answer->error().code;
        // Nobody listens there (yet): the next try may fare better, after its wait.
        if (decided.error != ECANCELED) continue;
        co_return decided;
      }
      decided.step = take(**answer, mapping, decided.result);
      if (decided.step != Step::wait) co_return decided;
    }
  }
  co_return decided;
}

pcp::Nonce random_nonce() {
  pcp::Nonce nonce{};
  while (getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size())) {
  }
  return nonce;
}

pcp::MapRequest map_request(const PortMapping &mapping, const IpAddress &source, seconds lifetime) {
  // RFC 6887 section 11.2: no wish for an address is the family's "any".
  Endpoint wish = mapping.external;
  if (wish.address.is_unspecified()) wish.address = IpAddress::any(source.is_v4());
  if (lifetime == seconds(0)) wish = {IpAddress::any(source.is_v4()), 0};  // section 15: deletion asks for nothing
  return pcp::make_map_request(mapping.nonce, source, mapping.internal_port, wish,
                               static_cast<uint32_t>(lifetime.count()));
}

}  // namespace

std::optional<Router> default_router_v4(std::string_view routes) {
  // Iface Destination Gateway Flags RefCnt Use Metric Mask …; numbers in hex, addresses as the machine stores them.
  std::optional<Router> best;
  uint32_t best_metric = 0;
  for_each_line(routes, [&](const std::vector<std::string_view> &words) {
    if (words.size() < 8) return;
    std::optional<uint32_t> destination = parse_hex<uint32_t>(words[1]), gateway = parse_hex<uint32_t>(words[2]),
                            flags = parse_hex<uint32_t>(words[3]), mask = parse_hex<uint32_t>(words[7]);
    if (!destination || !gateway || !flags || !mask || *destination != 0 || *mask != 0) return;
    if ((*flags & (kUp | kGateway | kReject)) != (kUp | kGateway)) return;
    uint32_t metric = static_cast<uint32_t>(std::strtoul(std::string(words[6]).c_str(), nullptr, 10));
    if (best && metric >= best_metric) return;
    best = Router{{from_in4(in_addr{*gateway}), pcp::kServerPort}, 0};
    best_metric = metric;
  });
  return best;
}

std::optional<Router> default_router_v6(std::string_view routes,
                                        const std::function<uint32_t(std::string_view)> &interface_index) {
  // Destination, its prefix length, source, its prefix length, next hop, metric, references, use, flags, interface: all
  // hex.
  std::optional<Router> best;
  uint32_t best_metric = 0;
  for_each_line(routes, [&](const std::vector<std::string_view> &words) {
    if (words.size() < 10 || words[4].size() != 32) return;
    std::optional<uint32_t> length = parse_hex<uint32_t>(words[1]), metric = parse_hex<uint32_t>(words[5]),
                            flags = parse_hex<uint32_t>(words[8]);
    if (!length || !metric || !flags || *length != 0) return;
    if ((*flags & (kUp | kGateway | kReject)) != (kUp | kGateway)) return;
    std::array<uint8_t, 16> bytes;
    for (size_t i = 0; i < bytes.size(); i++) {
      std::optional<uint8_t> byte = parse_hex<uint8_t>(words[4].substr(2 * i, 2));
      if (!byte) return;
      bytes[i] = *byte;
    }
    if (best && *metric >= best_metric) return;
    IpAddress address = IpAddress::from_v6(bytes);
    best = Router{{address, pcp::kServerPort}, address.is_link_local() ? interface_index(words[9]) : 0};
    best_metric = *metric;
  });
  return best;
}

std::optional<Router> default_router(bool v4) {
  if (v4) return default_router_v4(read_file("/proc/net/route"));
  return default_router_v6(read_file("/proc/net/ipv6_route"),
                           [](std::string_view name) { return if_nametoindex(std::string(name).c_str()); });
}

Task<Result<PortMapping>> request_port_mapping(Loop &loop, Router router, uint16_t internal_port, seconds lifetime,
                                               std::optional<PortMapping> previous) {
  PortMapping mapping;
  if (previous) mapping = *previous;
  if (!previous) mapping.nonce = random_nonce();
  mapping.router = router;
  mapping.internal_port = internal_port;

  Result<Fd> socket = open_socket(router);
  if (!socket) co_return socket.error();
  Exchange exchange(loop, std::move(*socket));
  if (Result<void> watched = exchange.watch(); !watched) co_return watched.error();

  Decided decided;
  if (!mapping.nat_pmp) {
    pcp::MapRequest request = map_request(mapping, exchange.source(), lifetime);
    std::vector<Bytes> messages(1, bytes_of(request));
    decided = co_await converse(loop, exchange, messages, kPcpWaits, take_pcp, mapping);
    if (decided.step == Step::done) co_return mapping;
    if (decided.step == Step::refused) co_return refusal(router, "PCP", decided.result);
    if (decided.error == ECANCELED) co_return Error::from_errno(ECANCELED, "asking the router");
    if (!router.endpoint.address.is_v4()) co_return no_answer(router);  // NAT-PMP is IPv4's alone
  }
  mapping.nat_pmp = true;
  uint16_t wish = mapping.external.port ? mapping.external.port : internal_port;
  mapping.external = {};
  pcp::NatPmpAddressRequest address = pcp::make_nat_pmp_address_request();
  pcp::NatPmpMapRequest map =
      pcp::make_nat_pmp_map_request(internal_port, wish, static_cast<uint32_t>(lifetime.count()));
  std::vector<Bytes> messages(1, bytes_of(address));
  messages.push_back(bytes_of(map));
  decided = co_await converse(loop, exchange, messages, kNatPmpWaits, take_nat_pmp, mapping);
  if (decided.step == Step::done) co_return mapping;
  if (decided.step == Step::refused) co_return refusal(router, "NAT-PMP", decided.result);
  if (decided.error == ECANCELED) co_return Error::from_errno(ECANCELED, "asking the router");
  co_return no_answer(router);
}

Task<> keep_port_mapping(Loop &loop, PortMapping mapping, std::function<void(const Result<PortMapping> &)> told) {
  const seconds wanted = mapping.lifetime;
  Time expires = loop.now() + mapping.lifetime;
  Event never(loop);
  for (;;) {
    // RFC 6887 section 11.2.1: at half of what is left; without an answer again at half of the rest. Once it has run
    // out, at half of what was wanted: the router may come back, and the machine may be on another network.
    Duration left = expires - loop.now();
    Duration wait = left > Duration(0) ? left / 2 : Duration(wanted) / 2;
    wait = std::max<Duration>(wait, kShortestRenewal);
    if (co_await never.wait(loop.now() + wait) == Woken::cancelled) co_return;
    Result<PortMapping> renewed =
        co_await request_port_mapping(loop, mapping.router, mapping.internal_port, wanted, mapping);
    if (!renewed && renewed.error().code == ECANCELED) co_return;
    if (renewed) {
      mapping = *renewed;
      expires = loop.now() + mapping.lifetime;
    }
    told(renewed);
  }
}

void remove_port_mapping(const PortMapping &mapping) {
  Result<Fd> socket = open_socket(mapping.router);
  if (!socket) return;
  if (mapping.nat_pmp) {
    // RFC 6886 section 3.4: lifetime and wish of 0.
    pcp::NatPmpMapRequest request = pcp::make_nat_pmp_map_request(mapping.internal_port, 0, 0);
    (void)!send(socket->get(), &request, sizeof(request), 0);
  } else {
    pcp::MapRequest request = map_request(mapping, local_endpoint(socket->get()).address, seconds(0));
    (void)!send(socket->get(), &request, sizeof(request), 0);
  }
}

}  // namespace slipgate
