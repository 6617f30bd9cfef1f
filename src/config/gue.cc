#include "config/gue.h"

#include <fmt/format.h>

#include "config/values.h"

namespace slipgate {

namespace {

using GatewayRow = OptionRow<GatewayOptions>;

constexpr uint16_t kGuePort = 6080;  // IANA's

Result<void> peer_endpoint(std::string_view value, GueLinkOptions &gue) {
  WireGuardPeerOptions peer;
  Result<void> read = parse_peer_endpoint(value, peer);
  if (!read) return read;
  gue.peer = peer.config.endpoint;
  gue.peer_name = peer.endpoint_name;
  gue.peer_port = peer.endpoint_port;
  return {};
}

// The rows are for options whose `gue` is set.
const GatewayRow kGueOptions[] = {
    {"bind-ip-port", 'b', "IP:PORT", "UDP address that GUE and FOU datagrams come to", "every address, port 6080",
     false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       Result<Endpoint> read = parse_endpoint(v);
       if (!read) return read.error();
       o.gue->listen = *read;
       return {};
     }},
    {"peer-endpoint", 'p', "HOST:PORT", "where the peer is", "where it was last heard of", false,
     [](GatewayOptions &o, std::string_view v) { return peer_endpoint(v, *o.gue); }},
    {"accept", 0, "endpoint|address|anyone",
     "of whom datagrams are taken when there is a --peer-endpoint: of exactly this one, of any port of its address "
     "(Linux without encap-sport), or of all the world",
     "endpoint", false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       using Accept = GueLinkOptions::Accept;
       if (v == "endpoint") return o.gue->accept = Accept::endpoint, Result<void>();
       if (v == "address") return o.gue->accept = Accept::address, Result<void>();
       if (v == "anyone") return o.gue->accept = Accept::anyone, Result<void>();
       return Error{0, "not one of endpoint, address, anyone"};
     }},
    {"encapsulation", 0, "auto|gue|fou",
     "what surrounds a packet: auto takes GUE with a header, GUE without (variant 1) and FOU, and answers alike; gue "
     "sends the header always; fou has IP packets and nothing else both ways",
     "auto", false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       using Encapsulation = GueLinkOptions::Encapsulation;
       if (v == "auto") return o.gue->encapsulation = Encapsulation::as_peer, Result<void>();
       if (v == "gue") return o.gue->encapsulation = Encapsulation::gue, Result<void>();
       if (v == "fou") return o.gue->encapsulation = Encapsulation::fou, Result<void>();
       return Error{0, "not one of auto, gue, fou"};
     }},
    {"keepalive-interval", 'a', "S", "an empty datagram to the peer every so many seconds", "off", false,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       Result<uint16_t> read = parse_keepalive(v);
       if (!read) return read.error();
       o.gue->keepalive = *read;
       return {};
     }},
    {"address", 0, "IP", "an inside address of the gateway's own: DNS and echo are answered there, -R listens there",
     "none", true,
     [](GatewayOptions &o, std::string_view v) -> Result<void> {
       Result<IpAddress> read = parse_address(v);
       if (!read) return read.error();
       o.addresses.emplace_back(*read, read->family_bits());
       return {};
     }},
};

std::vector<Option> rows(GatewayOptions &options) {
  std::vector<Option> all = bind_rows(gue_option_rows(), options);
  std::vector<Option> link = bind_rows(link_option_rows(), options);
  all.insert(all.end(), link.begin(), link.end());
  return all;
}

}  // namespace

std::span<const GatewayRow> gue_option_rows() {
  return kGueOptions;
}

GatewayCommand read_gue_command(std::span<const std::string> arguments) {
  GatewayCommand command;
  GatewayOptions &options = command.options;
  options.name = "gue";
  options.gue.emplace().listen.port = kGuePort;
  Arguments parsed = parse_arguments(rows(options), arguments, 0);
  command.help = parsed.help;
  command.problems = parsed.problems;
  if (options.threads > 1) command.notes.push_back({"", 0, "--threads: no effect; one peer is served by one thread"});
  return command;
}

std::string gue_help() {
  GatewayOptions options;
  options.gue.emplace();
  return fmt::format(
      "slipgate gue [options]: GUE and FOU packets in, ordinary sockets out\n\n"
      "Nothing is encrypted and nobody proves who he is: for tests and trusted wires.\n\nOptions:\n{}{}",
      help_table(bind_rows(gue_option_rows(), options)), help_table(bind_rows(link_option_rows(), options)));
}

void apply_gue_flags(const WireGuardFlags &flags, GatewayOptions &options, Problems &problems) {
  GueLinkOptions &gue = options.gue.emplace();
  gue.listen = flags.bind.value_or(Endpoint{IpAddress(), kGuePort});
  gue.keepalive = flags.keepalive_interval.value_or(0);
  if (!flags.peer_endpoint) return;
  if (Result<void> read = peer_endpoint(*flags.peer_endpoint, gue); !read) {
    problems.push_back({"", 0, fmt::format("--peer-endpoint {}: {}", *flags.peer_endpoint, read.error().text)});
  }
}

}  // namespace slipgate
