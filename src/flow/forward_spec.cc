#include "flow/forward_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "flow/words.h"

namespace slipgate {
namespace {

constexpr std::string_view kGrammar =
    "expected [PROTO://]PORT, BIND:PORT, PORT:HOST:HOSTPORT or BIND:PORT:HOST:HOSTPORT, IPv6 addresses in []";

Error bad(std::string_view spec, std::string_view problem, std::string_view expected = kGrammar) {
  return {0, fmt::format("forward \"{}\": {}; {}", spec, problem, expected)};
}

struct Scheme {
  std::string_view name;
  Forward::Transport transport;
};
constexpr std::array<Scheme, 5> kSchemes{{{"tcp", Forward::Transport::tcp},
                                          {"udp", Forward::Transport::udp},
                                          {"udprpc", Forward::Transport::udp_rpc},
                                          {"tcppp", Forward::Transport::tcp_proxy_v1},
                                          {"udpspp", Forward::Transport::udp_spp}}};

// Splits at colons outside brackets, which may be nested; nothing when they do not match.
std::optional<std::vector<std::string_view>> split(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '[') depth++;
    if (text[i] == ']' && --depth < 0) return std::nullopt;
    if (text[i] == ':' && depth == 0) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  if (depth != 0) return std::nullopt;
  parts.push_back(text.substr(begin));
  return parts;
}

std::string_view without_brackets(std::string_view part) {
  while (part.size() >= 2 && part.front() == '[' && part.back() == ']') part = part.substr(1, part.size() - 2);
  return part;
}

}  // namespace

ForwardDefaults ForwardDefaults::of(Forward::Direction direction) {
  IpAddress loopback_v4 = IpAddress::v4(127, 0, 0, 1), loopback_v6 = *IpAddress::parse("::1");
  if (direction == Forward::Direction::local) return {loopback_v4, loopback_v6, "", ""};
  return {IpAddress::any(true), IpAddress::any(false), loopback_v4.to_string(), loopback_v6.to_string()};
}

Result<Forward> parse_forward(std::string_view spec, Forward::Direction direction, const ForwardDefaults &defaults) {
  Forward forward;
  forward.direction = direction;
  forward.spec = spec;
  std::string_view rest = spec;
  if (size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    std::string_view name = rest.substr(0, scheme);
    rest.remove_prefix(scheme + 3);
    const Scheme *found =
        std::find_if(kSchemes.begin(), kSchemes.end(), [&](const Scheme &known) { return known.name == name; });
    if (found == kSchemes.end()) {
      return bad(spec, fmt::format("\"{}\" is not a protocol", name), "expected tcp, udp, udprpc, tcppp or udpspp");
    }
    forward.transport = found->transport;
  }
  std::optional<std::vector<std::string_view>> split_parts = split(rest);
  if (!split_parts) return bad(spec, "brackets do not match");
  const std::vector<std::string_view> &parts = *split_parts;
  if (parts.size() > 4) return bad(spec, fmt::format("{} parts", parts.size()));

  bool has_bind = parts.size() == 2 || parts.size() == 4;
  bool has_target = parts.size() >= 3;
  std::string_view bind = has_bind ? without_brackets(parts[0]) : std::string_view();
  std::string_view port = parts[has_bind ? 1 : 0];
  std::string_view host = has_target ? without_brackets(parts[has_bind ? 2 : 1]) : std::string_view();
  std::string_view host_port = has_target ? parts[has_bind ? 3 : 2] : std::string_view();

  std::optional<IpAddress> bind_literal = IpAddress::parse(bind), host_literal = IpAddress::parse(host);
  bool v6 = (bind_literal && !bind_literal->is_v4()) || (host_literal && !host_literal->is_v4());
  if (bind_literal) {
    forward.listen.address = *bind_literal;
  } else if (bind.empty()) {
    forward.listen.address = v6 ? defaults.listen_v6 : defaults.listen_v4;
  } else if (bind == "*") {
    forward.listen.address = IpAddress::any(!v6);
  } else if (bind == "localhost" && direction == Forward::Direction::local) {
    forward.listen.address = v6 ? *IpAddress::parse("::1") : IpAddress::v4(127, 0, 0, 1);
  } else {
    return bad(spec, fmt::format("\"{}\" is not an address to listen on", bind));
  }

  std::optional<uint16_t> listen_port = port.empty() ? 0 : parse_port(port);
  if (!listen_port) return bad(spec, fmt::format("\"{}\" is not a port (0-65535)", port));
  forward.listen.port = *listen_port;

  forward.target = host.empty() ? (v6 ? defaults.target_v6 : defaults.target_v4) : std::string(host);
  if (!host.empty() && !host_literal && !is_host_name(host))
    return bad(spec, fmt::format("\"{}\" is neither an address nor a name", host));
  std::optional<uint16_t> target_port = host_port.empty() ? 0 : parse_port(host_port);
  if (!target_port) return bad(spec, fmt::format("\"{}\" is not a port (0-65535)", host_port));
  forward.target_port = *target_port;
  if (direction == Forward::Direction::remote && forward.listen.port == 0) {
    return bad(spec, "a listener inside needs a port");
  }
  return forward;
}

Result<Forward> parse_forward(std::string_view spec, Forward::Direction direction) {
  return parse_forward(spec, direction, ForwardDefaults::of(direction));
}

Result<Forward> parse_incoming(std::string_view spec, Forward::Transport transport) {
  constexpr std::string_view kExpected = "expected HOST:PORT,[SRC:PORT],DST:PORT";
  size_t first = spec.find(','), second = first == std::string_view::npos ? first : spec.find(',', first + 1);
  bool three = second != std::string_view::npos && spec.find(',', second + 1) == std::string_view::npos;
  if (!three) return bad(spec, "not three fields", kExpected);

  Forward forward;
  forward.direction = Forward::Direction::local;
  forward.transport = transport;
  forward.spec = spec;
  std::string_view host = spec.substr(0, first), source = spec.substr(first + 1, second - first - 1),
                   destination = spec.substr(second + 1);
  std::optional<Endpoint> listen = Endpoint::parse(host), target = Endpoint::parse(destination);
  if (!listen) return bad(spec, fmt::format("\"{}\" is not a socket address", host), kExpected);
  forward.listen = *listen;
  if (target) {
    forward.target = target->address.to_string();
    forward.target_port = target->port;
  } else {
    const size_t colon = std::min(destination.rfind(':'), destination.size());
    std::optional<uint16_t> port;
    if (colon < destination.size()) port = parse_port(destination.substr(colon + 1));
    forward.target = destination.substr(0, colon);
    if (!port || !is_host_name(forward.target)) {
      return bad(spec, fmt::format("\"{}\" is neither a socket address nor NAME:PORT", destination), kExpected);
    }
    forward.target_port = *port;
  }
  if (forward.target_port == 0) return bad(spec, "the destination needs a port", kExpected);
  if (!source.empty()) {
    forward.source = Endpoint::parse(source);
    if (!forward.source) return bad(spec, fmt::format("\"{}\" is not a socket address", source), kExpected);
    if (target && forward.source->address.is_v4() != target->address.is_v4()) {
      return bad(spec, "source and destination are of different families", kExpected);
    }
  }
  return forward;
}

}  // namespace slipgate
