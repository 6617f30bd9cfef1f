#include "control/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "crypto/key_text.h"
#include "io/fd.h"

namespace slipgate {
namespace {

// A counter that is told as it is. Several of one family stand together and differ in their label.
struct CounterRow {
  std::string_view name, help;
  std::string_view label, value;  // label empty: none but the gateway's; "link": a series for each link
  uint64_t Counters::*field;
};

constexpr std::string_view kLinkLabel = "link";

const CounterRow kCounters[] = {
    {"slipgate_link_receive_packets_total", "Inside packets that came from the link.", kLinkLabel, "",
     &Counters::packets_from_link},
    {"slipgate_link_receive_bytes_total", "Bytes of inside packets that came from the link.", kLinkLabel, "",
     &Counters::bytes_from_link},
    {"slipgate_link_transmit_packets_total", "Inside packets handed to the link.", kLinkLabel, "",
     &Counters::packets_to_link},
    {"slipgate_link_transmit_bytes_total", "Bytes of inside packets handed to the link.", kLinkLabel, "",
     &Counters::bytes_to_link},
    {"slipgate_link_receive_datagrams_total", "Datagrams received on the link's socket.", kLinkLabel, "",
     &Counters::datagrams_received},
    {"slipgate_link_receive_calls_total", "System calls that received them.", kLinkLabel, "", &Counters::receive_calls},
    {"slipgate_link_transmit_datagrams_total", "Datagrams sent on the link's socket.", kLinkLabel, "",
     &Counters::datagrams_sent},
    {"slipgate_link_transmit_calls_total", "System calls that sent them.", kLinkLabel, "", &Counters::send_calls},
    {"slipgate_handshakes_total", "Handshakes completed with peers.", "", "", &Counters::handshakes},
    {"slipgate_messages_total", "Packets and handshakes passed from thread to thread.", "", "", &Counters::messages},
    {"slipgate_tcp_segments_total", "TCP segments from inside.", "", "", &Counters::tcp_segments},
    {"slipgate_tcp_segments_merged_total", "TCP segments from inside that were handled with the one before.", "", "",
     &Counters::tcp_segments_merged},
    {"slipgate_tcp_retransmitted_bytes_total", "Bytes that TCP towards inside sent again.", "", "",
     &Counters::tcp_bytes_resent},
    {"slipgate_flows_opened_total", "Flows opened, by protocol.", "protocol", "tcp", &Counters::tcp_flows_opened},
    {"slipgate_flows_opened_total", "", "protocol", "udp", &Counters::udp_flows_opened},
    {"slipgate_flows_opened_total", "", "protocol", "echo", &Counters::echo_flows_opened},
    {"slipgate_dns_queries_total", "Queries that the built-in DNS took.", "", "", &Counters::dns_queries},
};
static_assert(sizeof(Counters) == sizeof(uint64_t) * (kDropReasons + std::size(kCounters)), "a row for every counter");

// A label's value: what Prometheus wants escaped is, and what is not UTF-8 or not printable is replaced, because names
// come from files in any encoding.
std::string escaped(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<uint8_t>(text[i]);
    size_t length = byte < 0x80 ? 1 : byte >= 0xc2 && byte < 0xe0 ? 2 : (byte & 0xf0) == 0xe0 ? 3 : 4;
    bool good = byte < 0x80 || (byte >= 0xc2 && byte < 0xf5);
    for (size_t at = 1; at < length && good; at++) {
      good = i + at < text.size() && (static_cast<uint8_t>(text[i + at]) & 0xc0) == 0x80;
    }
    if (good && length >= 3) {  // overlong forms, surrogates, beyond U+10FFFF (RFC 3629 section 4)
      const auto next = static_cast<uint8_t>(text[i + 1]);
      good = !(byte == 0xe0 && next < 0xa0) && !(byte == 0xed && next >= 0xa0) && !(byte == 0xf0 && next < 0x90) &&
             !(byte == 0xf4 && next >= 0x90);
    }
    if (!good || (byte < 0x20 && byte != '\n') || byte == 0x7f) {
      result += '?';
      i++;
      continue;
    }
    if (byte == '\\' || byte == '"') result += '\\';
    if (byte == '\n') {
      result += "\\n";
    } else {
      result += text.substr(i, length);
    }
    i += length;
  }
  return result;
}

class Writer {
 public:
  explicit Writer(std::string_view gateway) : gateway_(escaped(gateway)) {}

  using Label = std::pair<std::string_view, std::string_view>;

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <typename Number>
  void sample(std::initializer_list<Label> labels, Number value) {
    fmt::format_to(std::back_inserter(text_), "{}{{gateway=\"{}\"", name_, gateway_);
    for (const Label &label : labels) {
      fmt::format_to(std::back_inserter(text_), ",{}=\"{}\"", label.first, escaped(label.second));
    }
    fmt::format_to(std::back_inserter(text_), "}} {}\n", value);
  }
  template <typename Number>
  void single(std::string_view name, std::string_view type, std::string_view help, Number value) {
    family(name, type, help);
    sample({}, value);
  }
  std::string take() { return std::move(text_); }

 private:
  const std::string gateway_;
  std::string_view name_;
  std::string text_;
};

void write_peers(Writer &to, const GatewayStatus &status, Time now, double wall) {
  to.single("slipgate_peers", "gauge", "Peers that are configured.", status.peers());
  auto each = [&](auto write) {
    for (const LinkStatus &link : status.links) {
      for (const wireguard::PeerStatus &peer : link.peers) {
        const std::string key = to_base64(peer.config.public_key);
        write(peer, std::initializer_list<Writer::Label>{
                        {kLinkLabel, link.name}, {"peer", peer.config.name}, {"public_key", key}});
      }
    }
  };
  to.family("slipgate_peer_receive_bytes_total", "counter", "Bytes received from the peer, on the wire.");
  each([&](const auto &peer, auto labels) { to.sample(labels, peer.received_bytes); });
  to.family("slipgate_peer_transmit_bytes_total", "counter", "Bytes sent to the peer, on the wire.");
  each([&](const auto &peer, auto labels) { to.sample(labels, peer.sent_bytes); });
  to.family("slipgate_peer_last_handshake_timestamp_seconds", "gauge", "When the last handshake was; 0: never.");
  each([&](const auto &peer, auto labels) {
    const double age = peer.last_handshake ? std::chrono::duration<double>(now - *peer.last_handshake).count() : wall;
    to.sample(labels, fmt::format("{:.3f}", wall - age));
  });
}

// How much memory this process has: pages in all, then resident ones (proc(5)). Opened once.
int memory_file() {
  static const Fd file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  return file.get();
}

// What Prometheus' own client libraries tell of every process.
void write_process(Writer &to) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  auto seconds_of = [](const timeval &time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  to.single("process_cpu_seconds_total", "counter", "User and system CPU time spent.",
            seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  to.single("process_max_fds", "gauge", "Most file descriptors that may be open.", descriptors.rlim_cur);
  char text[64] = {};
  unsigned long long resident = 0;
  if (::pread(memory_file(), text, sizeof(text) - 1, 0) > 0 && std::sscanf(text, "%*u %llu", &resident) == 1) {
    to.single("process_resident_memory_bytes", "gauge", "Resident memory.",
              resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
}

}  // namespace

void prepare_metrics() {
  memory_file();
}

std::string metrics_text(const GatewayStatus &status, Time now, double wall) {
  Writer to(status.name);
  to.family("slipgate_build_info", "gauge", "Always 1; the version is a label.");
  to.sample({{"version", SLIPGATE_VERSION}}, 1);
  to.single("slipgate_start_time_seconds", "gauge", "When the gateway started.",
            fmt::format("{:.3f}", wall - std::chrono::duration<double>(now - status.started).count()));

  std::string_view last;
  for (const CounterRow &row : kCounters) {
    if (row.name != last) to.family(row.name, "counter", row.help);
    last = row.name;
    if (row.label == kLinkLabel) {
      for (const LinkStatus &link : status.links) to.sample({{kLinkLabel, link.name}}, link.counters.*row.field);
    } else if (row.label.empty()) {
      to.sample({}, status.counters.*row.field);
    } else {
      to.sample({{row.label, row.value}}, status.counters.*row.field);
    }
  }
  to.family("slipgate_drops_total", "counter", "Packets, requests and flows that were not served, by reason.");
  for (size_t i = 0; i < kDropReasons; i++) {
    to.sample({{"reason", name_of(static_cast<DropReason>(i))}}, status.counters.drops[i]);
  }

  to.single("slipgate_flows", "gauge", "Flows at this moment.", status.flows);
  to.single("slipgate_flows_limit", "gauge", "Most flows that are admitted.", status.flows_limit);
  to.single("slipgate_tcp_connections", "gauge", "Inside TCP connections, those that linger at their end included.",
            status.connections);
  to.single("slipgate_ping_sockets_available", "gauge", "1: echoes are forwarded; 0: the kernel refuses ping sockets.",
            status.ping_sockets ? 1 : 0);
  to.family("slipgate_sandbox", "gauge", "1: the state of the sandbox.");
  for (SandboxState state : {SandboxState::on, SandboxState::partial, SandboxState::off}) {
    to.sample({{"state", name_of(state)}}, state == status.sandbox.state ? 1 : 0);
  }
  to.single("slipgate_sandbox_refused_calls_total", "counter", "System calls that the sandbox refused.",
            status.sandbox.refused_calls);
  write_peers(to, status, now, wall);
  write_process(to);
  return to.take();
}

}  // namespace slipgate
