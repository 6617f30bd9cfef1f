#include "config/gue.h"

#include <fmt/format.h>

#include "config/values.h"

namespace slipgate {

namespace {

using LinkRow = OptionRow<LinkOptions>;

constexpr uint16_t kGuePort = 6080;     // IANA's
constexpr size_t kMostAllowedIps = 64;  // one is looked at after another

void set_peer(const WireGuardPeerOptions &peer, GueLinkOptions &gue) {
  gue.peer = peer.config.endpoint;
  gue.peer_name = peer.endpoint_name;
  gue.peer_port = peer.endpoint_port;
}

Result<void> peer_endpoint(std::string_view value, GueLinkOptions &gue) {
  WireGuardPeerOptions peer;
  Result<void> read = parse_peer_endpoint(value, peer);
  if (read) set_peer(peer, gue);
  return read;
}

// The rows are for links of GUE.
const LinkRow kGueOptions[] = {
    {"bind-ip-port", 'b', "[IP:]PORT", "UDP address that GUE and FOU datagrams come to", "every address, port 6080",
     false,
     [](LinkOptions &l, std::string_view v) -> Result<void> {
       Result<Endpoint> read = parse_endpoint_or_port(v);
       if (!read) return read.error();
       l.gue()->listen = *read;
       return {};
     }},
    {"peer-endpoint", 'p', "HOST:PORT", "where the peer is", "where it was last heard of", false,
     [](LinkOptions &l, std::string_view v) { return peer_endpoint(v, *l.gue()); }},
    {"accept", 0, "endpoint|address|anyone",
     "of whom datagrams are taken when there is a --peer-endpoint: of exactly this one, of any port of its address "
     "(Linux without encap-sport), or of all the world",
     "endpoint", false,
     [](LinkOptions &l, std::string_view v) -> Result<void> {
       using Accept = GueLinkOptions::Accept;
       if (v == "endpoint") return l.gue()->accept = Accept::endpoint, Result<void>();
       if (v == "address") return l.gue()->accept = Accept::address, Result<void>();
       if (v == "anyone") return l.gue()->accept = Accept::anyone, Result<void>();
       return Error{0, "not one of endpoint, address, anyone"};
     }},
    {"encapsulation", 0, "auto|gue|fou",
     "what surrounds a packet: auto takes GUE with a header, GUE without (variant 1) and FOU, and answers alike; gue "
     "sends the header always; fou has IP packets and nothing else both ways",
     "auto", false,
     [](LinkOptions &l, std::string_view v) -> Result<void> {
       using Encapsulation = GueLinkOptions::Encapsulation;
       if (v == "auto") return l.gue()->encapsulation = Encapsulation::as_peer, Result<void>();
       if (v == "gue") return l.gue()->encapsulation = Encapsulation::gue, Result<void>();
       if (v == "fou") return l.gue()->encapsulation = Encapsulation::fou, Result<void>();
       return Error{0, "not one of auto, gue, fou"};
     }},
    {"keepalive-interval", 'a', "S", "an empty datagram to the peer every so many seconds", "off", false,
     [](LinkOptions &l, std::string_view v) -> Result<void> {
       Result<uint16_t> read = parse_keepalive(v);
       if (!read) return read.error();
       l.gue()->keepalive = *read;
       return {};
     }},
    {"allowed-ips", 0, "PREFIX",
     "inside addresses that are the peer's: packets from others are dropped, and other links' clients reach it there",
     "any, and nobody else's client reaches it", true,
     [](LinkOptions &l, std::string_view v) -> Result<void> {
       Result<IpPrefix> read = parse_prefix(v);
       if (!read) return read.error();
       if (l.gue()->allowed_ips.size() == kMostAllowedIps) return Error{0, "one too many; give larger prefixes"};
       l.gue()->allowed_ips.push_back(*read);
       return {};
     }},
};

std::vector<Option> rows(GatewayCommand &command) {
  std::vector<Option> all = bind_rows(gue_option_rows(), command.options.links[0]);
  for (std::vector<Option> more : {single_link_options(command.options), bind_rows(command_option_rows(), command)}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace

std::span<const LinkRow> gue_option_rows() {
  return kGueOptions;
}

GatewayCommand read_gue_command(std::span<const std::string> arguments) {
  GatewayCommand command;
  GatewayOptions &options = command.options;
  options.name = "gue";
  make_gue(options.links[0]);
  Arguments parsed = parse_arguments(rows(command), arguments, 0);
  command.said.links.push_back({"gue", {}, {}});
  say_arguments(command.said, parsed.said);
  command.help = parsed.help;
  command.problems = parsed.problems;
  check_rates(options, command.problems);
  if (options.threads > 1) command.notes.push_back({"", 0, "--threads: no effect; one peer is served by one thread"});
  return command;
}

std::string gue_help() {
  GatewayCommand command;
  make_gue(command.options.links[0]);
  return fmt::format(
      "slipgate gue [options]: GUE and FOU packets in, ordinary sockets out\n\n"
      "Nothing is encrypted and nobody proves who he is: for tests and trusted wires.\n\nOptions:\n{}",
      help_table(rows(command)));
}

void make_gue(LinkOptions &link) {
  link.name = "gue";
  link.outside = GueLinkOptions();
  link.gue()->listen.port = kGuePort;
}

void apply_gue_flags(const WireGuardFlags &flags, LinkOptions &link) {
  make_gue(link);
  GueLinkOptions &gue = *link.gue();
  if (flags.bind) gue.listen = *flags.bind;
  gue.keepalive = flags.keepalive_interval.value_or(0);
  if (flags.peer_endpoint) set_peer(*flags.peer_endpoint, gue);
}

}  // namespace slipgate
