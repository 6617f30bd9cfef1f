#include "config/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "config/gue.h"
#include "config/name_server.h"
#include "config/tun.h"
#include "config/values.h"
#include "config/wg_quick.h"
#include "flow/egress.h"
#include "flow/forward_spec.h"
#include "flow/rate_rule.h"
#include "flow/rules.h"
#include "wire/dns.h"

namespace slipgate {

namespace {

using GatewayRow = OptionRow<GatewayOptions>;
using LinkRow = OptionRow<LinkOptions>;
using FlagRow = OptionRow<WireGuardFlags>;

// wgslirpy's mode without encryption: `-k INSECURE -K GUE`.
constexpr std::string_view kInsecure = "INSECURE", kGue = "GUE";

constexpr uint64_t kSmallestTcpBuffer = 4096;
constexpr uint64_t kLargestTcpBuffer = 1 << 30;  // the largest window that TCP can name (RFC 7323)
constexpr uint64_t kLongestTimeout = 30 * 24 * 3600;
constexpr uint64_t kMostFlows = 16 << 20;
constexpr uint64_t kLongestQueue = 1 << 20;
constexpr size_t kLongestGatewayName = 64;
constexpr size_t kMostEgressRules = 1024;  // each is looked at for every flow

// Reads a number within bounds into a field.
template <typename T>
Result<void> number(std::string_view value, uint64_t low, uint64_t high, T &field) {
  Result<uint64_t> read = parse_number(value, low, high);
  if (!read) return read.error();
  field = static_cast<T>(*read);
  return {};
}

Result<void> timeout(std::string_view value, Duration &field) {
  Result<uint64_t> read = parse_number(value, 1, kLongestTimeout);
  if (!read) return read.error();
  field = seconds(*read);
  return {};
}

Result<void> rules(std::string_view value, std::vector<PolicyRule> &list) {
  Result<std::vector<PolicyRule>> read = parse_policy_rules(value);
  if (!read) return read.error();
  list.insert(list.end(), read->begin(), read->end());
  return {};
}

Result<void> egress(std::string_view value, EgressOptions &list) {
  if (list.size() == kMostEgressRules) return Error{kSaysItself, fmt::format("more than {}", kMostEgressRules)};
  Result<EgressRule> read = parse_egress(value);
  if (!read) return Error{kSaysItself, read.error().text};
  list.push_back(std::move(*read));
  return {};
}

Result<void> forward(Result<Forward> read, GatewayOptions &options) {
  if (!read) return read.error();
  options.forwards.push_back(std::move(*read));
  return {};
}

Result<void> source_address(std::string_view value, bool v4, std::optional<IpAddress> &field) {
  Result<IpAddress> read = parse_address(value);
  if (!read) return read.error();
  if (read->is_v4() != v4) return Error{0, v4 ? "not an IPv4 address" : "not an IPv6 address"};
  field = *read;
  return {};
}

Result<void> gateway_name(std::string_view value, std::string &field) {
  bool good = !value.empty() && value.size() <= kLongestGatewayName && value.front() != '.' &&
              value.find_first_of("/ \t\n") == std::string_view::npos;
  if (!good) return Error{0, "not a name; give one without slashes and spaces, it becomes a file's name"};
  field = value;
  return {};
}

Result<void> domain(std::string_view value, std::string &field) {
  std::optional<dns::Name> name = dns::Name::parse(value);
  if (!name || name->is_root()) return Error{0, "not a domain; give one such as home.internal"};
  field = name->to_string();
  return {};
}

template <typename T, size_t N>
Result<void> choice(std::string_view value, const std::array<std::pair<std::string_view, T>, N> &choices, T &field) {
  std::string names;
  for (auto [name, meaning] : choices) {
    if (name == value) {
      field = meaning;
      return {};
    }
    names += names.empty() ? fmt::format("{}", name) : fmt::format(", {}", name);
  }
  return Error{0, fmt::format("not one of {}", names)};
}

Result<void> on_or_off(std::string_view value, bool &field) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kStates{{{"on", true}, {"off", false}}};
  return choice(value, kStates, field);
}

constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLogLevels{{{"error", LogLevel::error},
                                                                           {"warn", LogLevel::warn},
                                                                           {"info", LogLevel::info},
                                                                           {"debug", LogLevel::debug},
                                                                           {"trace", LogLevel::trace}}};
constexpr std::array<std::pair<std::string_view, Congestion>, 2> kCongestion{
    {{"bbr", Congestion::bbr}, {"cubic", Congestion::cubic}}};
constexpr std::array<std::pair<std::string_view, LogFormat>, 2> kLogFormats{
    {{"text", LogFormat::text}, {"json", LogFormat::json}}};

const GatewayRow kGatewayOptions[] = {
    {"dns", 'D', "IP:PORT", "the built-in DNS answers here, UDP and TCP",
     "first own inside address, port 53, when the link has one", true,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       Result<Endpoint> read = parse_endpoint_or_address(v, 53);
       if (!read) return read.error();
       o.dns.push_back(*read);
       return {};
     }},
    {"dns-upstream", 0, "SERVER", "names are asked of this server: IP[:PORT], or by TLS tls://HOST[:PORT][#NAME]",
     "those of /etc/resolv.conf", true,
     [](GatewayOptions &o, std::string_view v) { return add_name_server(v, o.resolving); }},
    {"domain", 0, "DOMAIN",
     "peers are known by their names in this domain, and the gateway by the domain itself; all of it is answered here",
     "the gateway's name below internal: NAME.internal", false,
     [](GatewayOptions &o, std::string_view v) { return domain(v, o.resolving.domain); }},
    {"pingable", 'P', "IP", "the gateway itself answers echo here", "the own inside addresses", true,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       Result<IpAddress> read = parse_address(v);
       if (!read) return read.error();
       o.pingable.push_back(*read);
       return {};
     }},
    {"local-forward", 'L', "SPEC",
     "listen on the host, connect inside: [udp://][BIND:]PORT[:HOST:PORT]; tcppp://: behind a proxy that sends PROXY "
     "headers",
     "", true,
     [](GatewayOptions &o, std::string_view v) { return forward(parse_forward(v, Forward::Direction::local), o); }},
    {"remote-forward", 'R', "SPEC",
     "listen inside, connect on the host: [udp://][BIND:]PORT[:HOST:PORT]; HOST:PORT may be unix:/PATH, "
     "vsock:CID:PORT, tipc:TYPE:INSTANCE, firecracker:/UDS:PORT; tcppp://, tcppp2://: with a PROXY header, version 1, "
     "2",
     "", true,
     [](GatewayOptions &o, std::string_view v) { return forward(parse_forward(v, Forward::Direction::remote), o); }},
    {"incoming-tcp", 't', "HOST,SRC,DST", "listen on HOST, connect to DST inside from SRC (empty: the real client)", "",
     true,
     [](GatewayOptions &o, std::string_view v) { return forward(parse_incoming(v, Forward::Transport::tcp), o); }},
    {"incoming-udp", 'u', "HOST,SRC,DST", "the same for UDP", "", true,
     [](GatewayOptions &o, std::string_view v) { return forward(parse_incoming(v, Forward::Transport::udp), o); }},
    {"allow", 0, "RULE", "may be reached from inside: [tcp|udp|icmp]://IP-or-CIDR-or-NAME[:PORT[-PORT]], comma lists",
     "", true, [](GatewayOptions &o, std::string_view v) { return rules(v, o.policy.allow); }},
    {"deny", 0, "RULE", "may not be reached, whatever --allow says; written as for --allow", "", true,
     [](GatewayOptions &o, std::string_view v) { return rules(v, o.policy.deny); }},
    {"enable-host", 0, "", "the host's own addresses may be reached (never loopback unless allowed by rule)", "off",
     false,
     [](GatewayOptions &o, std::string_view) -> Result<void> {
       o.policy.enable_host = true;
       return {};
     }},
    {"egress", 0, "[RULE=]URL",
     "by which way flows leave, those of RULE (as for --allow) or all; the first that fits counts: direct, "
     "socks5://[USER:PASSWORD@]HOST:PORT or http://HOST:PORT",
     "direct", true, [](GatewayOptions &o, std::string_view v) { return egress(v, o.egress); }},
    {"source-ipv4", 0, "IP", "local address of outgoing IPv4 sockets", "kernel's choice", false,
     [](GatewayOptions &o, std::string_view v) { return source_address(v, true, o.source_ipv4); }},
    {"source-ipv6", 0, "IP", "local address of outgoing IPv6 sockets", "kernel's choice", false,
     [](GatewayOptions &o, std::string_view v) { return source_address(v, false, o.source_ipv6); }},
    {"tcp-buffer-size", 0, "BYTES", "most bytes held per direction of a TCP flow; grows to it on demand", "4 MiB",
     false,
     [](GatewayOptions &o, std::string_view v) {
       return number(v, kSmallestTcpBuffer, kLargestTcpBuffer, o.tcp_buffer_size);
     }},
    {"congestion", 0, "bbr|cubic", "how the gateway's TCP sends towards clients", "bbr", false,
     [](GatewayOptions &o, std::string_view v) { return choice(v, kCongestion, o.congestion); }},
    {"threads", 0, "N", "shards, each with peers of its own", "as many as there are processors", false,
     [](GatewayOptions &o, std::string_view v) { return number(v, 1, kMostThreads, o.threads); }},
    {"max-flows", 0, "N", "flows at once", "262144, in force is what descriptors allow", false,
     [](GatewayOptions &o, std::string_view v) { return number(v, 1, kMostFlows, o.limits.max_flows); }},
    {"max-flows-per-client", 0, "N", "flows at once of one client", "16384", false,
     [](GatewayOptions &o, std::string_view v) { return number(v, 1, kMostFlows, o.limits.max_flows_per_client); }},
    {"max-connecting-per-client", 0, "N", "host connections being opened at once for one client", "256", false,
     [](GatewayOptions &o, std::string_view v) {
       return number(v, 1, kMostFlows, o.limits.max_connecting_per_client);
     }},
    {"rate", 0, "PEER=BYTES/s",
     "how fast a peer may send and receive, each; alice=2M, alice=up:500k,down:none; PEER: name, public key, address",
     "", true,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       Result<RateRule> read = parse_rate_rule(v);
       if (!read) return read.error();
       o.rates.push_back(*read);
       return {};
     }},
    {"tcp-idle-timeout", 0, "S", "seconds after which a silent TCP flow ends", "7440 (RFC 5382)", false,
     [](GatewayOptions &o, std::string_view v) { return timeout(v, o.limits.tcp_idle_timeout); }},
    {"udp-idle-timeout", 0, "S", "seconds after which a silent UDP flow ends", "300 (RFC 4787)", false,
     [](GatewayOptions &o, std::string_view v) { return timeout(v, o.limits.udp_idle_timeout); }},
    {"pcap", 0, "FILE", "every inside packet, pcapng, with link, flow and verdict as comments; - for standard output",
     "off", false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       if (v.empty()) return Error{0, "empty; give the name of a file to be written"};
       o.pcap = v;
       return {};
     }},
    {"metrics", 0, "ADDR", "HTTP on IP:PORT or unix:PATH: /metrics for Prometheus, /healthz, / a status page", "off",
     false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       constexpr std::string_view kUnix = "unix:";
       if (v.starts_with(kUnix) && v.size() > kUnix.size()) {
         o.metrics = ListenAddress{std::nullopt, std::string(v.substr(kUnix.size()))};
         return {};
       }
       Result<Endpoint> read = parse_endpoint(v);
       if (!read) return Error{0, "not IP:PORT or unix:PATH; give 127.0.0.1:9100 to serve this machine only"};
       o.metrics = ListenAddress{*read, {}};
       return {};
     }},
    {"name", 0, "NAME", "this gateway's name: control socket, logs",
     "the configuration file's stem, else the command, with -2, -3 ... if taken", false,
     [](GatewayOptions &o, std::string_view v) { return gateway_name(v, o.name); }},
    {"control", 0, "PATH", "control socket (mode 0600)", "$XDG_RUNTIME_DIR/slipgate/NAME.sock", false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       if (v.empty()) return Error{0, "empty; give the path of a socket to be made"};
       o.control_path = v;
       return {};
     }},
    {"log-level", 0, "LEVEL", "error, warn, info, debug or trace; to stderr", "info", false,
     [](GatewayOptions &o, std::string_view v) { return choice(v, kLogLevels, o.log_level); }},
    {"log-format", 0, "FORMAT", "text or json", "text", false,
     [](GatewayOptions &o, std::string_view v) { return choice(v, kLogFormats, o.log_format); }},
    {"sandbox", 0, "on|off", "after start: no new privileges, no other system calls or files than are needed", "on",
     false, [](GatewayOptions &o, std::string_view v) { return on_or_off(v, o.sandbox); }},
    {"ready-fd", 0, "N", "write one line to this descriptor when serving (NOTIFY_SOCKET is honoured too)", "", false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       int descriptor = 0;
       Result<void> read = number(v, 0, 1 << 20, descriptor);
       if (read) o.ready_fd = descriptor;
       return read;
     }},
};

const LinkRow kLinkOptions[] = {
    {"address", 0, "IP", "an inside address of the gateway's own: DNS and echo are answered there, -R listens there",
     "those of the file", true,
     [](LinkOptions &l, std::string_view v) -> Result<void> {
       Result<IpAddress> read = parse_address(v);
       if (!read) return read.error();
       l.addresses.emplace_back(*read, read->family_bits());
       return {};
     }},
    {"mtu", 0, "BYTES", "largest inside packet", "1420", false,
     [](LinkOptions &l, std::string_view v) { return number(v, kSmallestMtu, kLargestMtu, l.mtu); }},
    {"transmit-queue-capacity", 0, "PACKETS", "packets queued towards a link before backpressure", "1024", false,
     [](LinkOptions &l, std::string_view v) { return number(v, 1, kLongestQueue, l.transmit_queue_capacity); }},
};

const LinkRow kWireGuardLinkOptions[] = {
    {"interface", 0, "NAME", "serve WireGuard's userspace API under this name: wg show NAME, wg set NAME ...", "off",
     false,
     [](LinkOptions &l, std::string_view v) -> Result<void> {
       if (!is_interface_name(v)) return Error{0, "no interface name; give 1 to 15 letters, digits or _=+.-"};
       l.interface = v;
       return {};
     }},
};

Result<void> private_key(std::string_view value, WireGuardFlags &flags) {
  flags.insecure = value == kInsecure;
  if (flags.insecure) return {};
  Result<wireguard::Key> key = parse_key(value, "KEY", true);
  if (!key) return Error{kSaysItself, key.error().text};
  flags.private_key = *key;
  return {};
}

Result<void> private_key_file(const std::string &path, WireGuardFlags &flags) {
  Result<wireguard::Key> key = read_key_file(path);
  if (!key) return key.error();
  flags.private_key_of_file = *key;
  if (std::optional<std::string> open = readable_by_all(path)) flags.notes.push_back({path, 0, *open});
  return {};
}

Result<void> peer_key(std::string_view value, WireGuardFlags &flags) {
  flags.gue = value == kGue;
  if (flags.gue) return {};
  Result<wireguard::PublicKey> key = parse_public_key(value, "");
  if (!key) return Error{kSaysItself, key.error().text};
  flags.peer_key = *key;
  return {};
}

const FlagRow kWireGuardOptions[] = {
    {"private-key", 'k', "KEY",
     "the gateway's private key, in base64 (other users see it in the process list: prefer -f)", "", false,
     [](WireGuardFlags &f, std::string_view v) { return private_key(v, f); }, true},
    {"private-key-file", 'f', "FILE", "the file that holds the private key, as `slipgate genkey > FILE` writes it", "",
     false, [](WireGuardFlags &f, std::string_view v) { return private_key_file(std::string(v), f); }},
    {"peer-key", 'K', "KEY", "the one peer's public key; its AllowedIPs are 0.0.0.0/0, ::/0", "", false,
     [](WireGuardFlags &f, std::string_view v) { return peer_key(v, f); }},
    {"peer-endpoint", 'p', "HOST:PORT", "where the peer is", "where it was last heard of", false,
     [](WireGuardFlags &f, std::string_view v) { return parse_peer_endpoint(v, f.peer_endpoint.emplace()); }},
    {"keepalive-interval", 'a', "S", "persistent keepalive towards the peer, in seconds", "off", false,
     [](WireGuardFlags &f, std::string_view v) -> Result<void> {
       Result<uint16_t> read = parse_keepalive(v);
       if (!read) return read.error();
       f.keepalive_interval = *read;
       return {};
     }},
    {"bind-ip-port", 'b', "[IP:]PORT", "UDP address that WireGuard listens on",
     "ListenPort of the file on every address", false,
     [](WireGuardFlags &f, std::string_view v) -> Result<void> {
       Result<Endpoint> read = parse_endpoint_or_port(v);
       if (!read) return read.error();
       f.bind = *read;
       return {};
     }},
};

const OptionRow<GatewayCommand> kCommandOptions[] = {
    {"print-config", 0, "",
     "print the configuration in force as `slipgate run` reads it, without secrets; serve nothing", "", false,
     [](GatewayCommand &c, std::string_view) -> Result<void> {
       c.print_config = true;
       return {};
     }},
};

struct Parsed {
  WireGuardFlags flags;
  Arguments arguments;
};

// All options of the command into `options` and flags.
Parsed parse_wireguard(std::span<const std::string> arguments, GatewayCommand &command) {
  Parsed parsed;
  GatewayOptions &options = command.options;
  std::vector<Option> rows = bind_rows(wireguard_option_rows(), parsed.flags);
  for (std::vector<Option> more : {bind_rows(wireguard_link_option_rows(), options.links[0]),
                                   single_link_options(options), bind_rows(command_option_rows(), command)}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  parsed.arguments = parse_arguments(rows, arguments, 1);
  return parsed;
}

void append(Problems &to, const Problems &from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

std::span<const GatewayRow> gateway_option_rows() {
  return kGatewayOptions;
}
std::span<const LinkRow> link_option_rows() {
  return kLinkOptions;
}
std::span<const LinkRow> wireguard_link_option_rows() {
  return kWireGuardLinkOptions;
}
std::span<const OptionRow<GatewayCommand>> command_option_rows() {
  return kCommandOptions;
}

namespace {

template <typename Row>
const Row *row_of(std::span<const Row> rows, std::string_view name) {
  auto found = std::ranges::find(rows, name, &Row::name);
  return found == rows.end() ? nullptr : &*found;
}

void say_option(SaidOptions &options, const SaidOption &option, bool repeats) {
  for (const std::string &value : option.values) say(options, option.name, value, repeats);
}

}  // namespace

void say_arguments(Said &said, const SaidOptions &given) {
  for (const SaidOption &option : given) {
    if (const GatewayRow *row = row_of(gateway_option_rows(), option.name)) {
      say_option(said.gateway, option, row->repeats);
    } else if (!said.links.empty()) {
      SaidLink &link = said.links.back();
      const bool gue = link.kind == "gue";
      const LinkRow *of_link = row_of(link_option_rows(), option.name);
      if (!of_link) of_link = row_of(gue ? gue_option_rows() : wireguard_link_option_rows(), option.name);
      if (of_link || (!gue && row_of(wireguard_option_rows(), option.name))) {
        say_option(link.options, option, of_link && of_link->repeats);
      }
    }
  }
}

std::vector<std::string> keys_for_restart(const SaidOptions &was, const SaidOptions &is) {
  constexpr std::string_view kReloaded[] = {"dns",           "dns-upstream",   "domain",       "pingable",
                                            "local-forward", "remote-forward", "incoming-tcp", "incoming-udp",
                                            "allow",         "deny",           "enable-host",  "egress"};
  std::vector<std::string> keys;
  for (const GatewayRow &row : kGatewayOptions) {
    if (std::ranges::find(kReloaded, row.name) != std::end(kReloaded)) continue;
    auto before = std::ranges::find(was, row.name, &SaidOption::name),
         after = std::ranges::find(is, row.name, &SaidOption::name);
    const bool same = before == was.end() || after == is.end() ? (before == was.end()) == (after == is.end())
                                                               : before->values == after->values;
    if (!same) keys.push_back(key_of(row.name));
  }
  return keys;
}

std::span<const FlagRow> wireguard_option_rows() {
  return kWireGuardOptions;
}

std::vector<Option> single_link_options(GatewayOptions &options) {
  std::vector<Option> all = bind_rows(link_option_rows(), options.links[0]);
  std::vector<Option> gateway = bind_rows(gateway_option_rows(), options);
  all.insert(all.end(), gateway.begin(), gateway.end());
  return all;
}

Result<Forward> parse_forward_option(std::string_view option, std::string_view spec) {
  for (const GatewayRow &row : kGatewayOptions) {
    if (row.name != option && (option.size() != 1 || row.letter != option[0])) continue;
    GatewayOptions options;
    if (Result<void> read = row.apply(options, spec); !read) return read.error();
    if (options.forwards.size() == 1) return options.forwards[0];
  }
  return Error{0, "no option of forwards; give local-forward, remote-forward, incoming-tcp or incoming-udp"};
}

void apply_wireguard_flags(const WireGuardFlags &flags, LinkOptions &link, Problems &problems) {
  auto problem = [&](std::string words) { problems.push_back({"", 0, std::move(words)}); };
  if (flags.insecure != flags.gue) {
    problem(flags.insecure ? "-k INSECURE: goes with -K GUE only" : "-K GUE: goes with -k INSECURE only");
  }
  if ((flags.private_key || flags.insecure) && flags.private_key_of_file) {
    problem("--private-key and --private-key-file: both given; give one of them");
  }
  if (flags.gue) {
    if (!link.interface.empty()) problem("--interface: GUE has no WireGuard interface to show");
    return apply_gue_flags(flags, link);
  }
  WireGuardLinkOptions &wireguard = *link.wireguard();
  if (flags.private_key) wireguard.private_key = *flags.private_key;
  if (flags.private_key_of_file) wireguard.private_key = *flags.private_key_of_file;
  if (flags.bind) wireguard.listen = *flags.bind;
  if (flags.peer_key) {
    WireGuardPeerOptions peer = flags.peer_endpoint.value_or(WireGuardPeerOptions());
    peer.config.public_key = *flags.peer_key;
    peer.config.allowed_ips = {IpPrefix(IpAddress::any(true), 0), IpPrefix(IpAddress::any(false), 0)};
    peer.config.persistent_keepalive = flags.keepalive_interval.value_or(0);
    wireguard.peers.push_back(std::move(peer));
  } else if (flags.peer_endpoint || flags.keepalive_interval) {
    problem(fmt::format("{}: whose? Name the peer with --peer-key, or write it into the file",
                        flags.peer_endpoint ? "--peer-endpoint" : "--keepalive-interval"));
  }
}

// Keys and addresses may become peers' later; a name is in the file or nowhere.
void check_rates(const GatewayOptions &options, Problems &problems) {
  std::vector<std::string_view> names;
  for (const LinkOptions &link : options.links) {
    if (!link.wireguard()) continue;
    for (const WireGuardPeerOptions &peer : link.wireguard()->peers) {
      if (!peer.config.name.empty()) names.push_back(peer.config.name);
    }
  }
  for (const RateRule &rule : options.rates) {
    const bool known = std::find(names.begin(), names.end(), rule.peer) != names.end();
    if (known || IpAddress::parse(rule.peer) || parse_public_key(rule.peer, "")) continue;
    problems.push_back(
        {"", 0,
         fmt::format("--rate {}: no peer has this name{}; give a peer's name, public key or inside address", rule.peer,
                     did_you_mean(rule.peer, names))});
  }
}

GatewayCommand read_wireguard_command(std::span<const std::string> arguments) {
  GatewayCommand command;
  // Twice: for the file's name, and again over what the file says, because options win over it.
  GatewayCommand scratch;
  Parsed first = parse_wireguard(arguments, scratch);
  if (first.arguments.help) {
    command.help = true;
    return command;
  }
  append(command.problems, first.arguments.problems);
  bool has_file = !first.arguments.words.empty();
  if (has_file) {
    WgQuickFile file = load_wg_quick(first.arguments.words[0]);
    append(command.problems, file.problems);
    append(command.notes, file.notes);
    apply_wg_quick(file, command.options);
    if (!file.dns.empty() || !file.search_domains.empty()) {
      command.notes.push_back(
          {file.path, 0, "DNS: no effect on a gateway; names are resolved as this machine resolves them"});
    }
  }
  Parsed parsed = parse_wireguard(arguments, command);
  const WireGuardFlags &flags = parsed.flags;
  append(command.notes, flags.notes);
  if (!first.arguments.problems.empty()) return command;
  if (flags.gue && has_file) command.problems.push_back({"", 0, "-K GUE: there is no file for that; leave it out"});
  apply_wireguard_flags(flags, command.options.links[0], command.problems);
  check_rates(command.options, command.problems);
  SaidLink &said = command.said.links.emplace_back();
  said.kind = flags.gue ? "gue" : "wireguard";
  if (has_file) say(said.options, "config", first.arguments.words[0], false);
  say_arguments(command.said, parsed.arguments.said);
  if (!has_file && command.problems.empty()) {
    if (!flags.any()) {
      command.problems.push_back(
          {"", 0, "no configuration; give a wg-quick file, or -f, -K and -b (`slipgate quick` needs nothing)"});
      return command;
    }
    if (!flags.private_key && !flags.private_key_of_file && !flags.insecure) {
      command.problems.push_back({"", 0, "no private key; give -f FILE (`slipgate genkey` makes one)"});
    }
    if (!flags.peer_key && !flags.gue) command.problems.push_back({"", 0, "no peer; give its public key with -K KEY"});
  }
  return command;
}

std::string wireguard_help() {
  WireGuardFlags flags;
  GatewayCommand command;
  return fmt::format(
      "slipgate wireguard [CONF] [options]: WireGuard peers in, ordinary sockets out\n\n"
      "CONF is a wg-quick file. Options win over what it says. Without it, one peer is given by "
      "flags:\n{}\nOptions:\n{}{}",
      help_table(bind_rows(wireguard_option_rows(), flags)),
      help_table(bind_rows(wireguard_link_option_rows(), command.options.links[0])),
      help_table(single_link_options(command.options)) + help_table(bind_rows(command_option_rows(), command)));
}

}  // namespace slipgate
