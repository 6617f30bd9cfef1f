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
constexpr std::string_view kSocketGrammar =
    "expected [PROTO://][BIND:]PORT: and unix:/PATH, unix:@NAME, vsock:CID:PORT, tipc:TYPE:INSTANCE or "
    "firecracker:/UDS:PORT";

Error bad(std::string_view spec, std::string_view problem, std::string_view expected = kGrammar) {
  return {0, fmt::format("forward \"{}\": {}; {}", spec, problem, expected)};
}

struct Scheme {
  std::string_view name;
  Forward::Transport transport;
};
constexpr std::array<Scheme, 6> kSchemes{{{"tcp", Forward::Transport::tcp},
                                          {"udp", Forward::Transport::udp},
                                          {"udprpc", Forward::Transport::udp_rpc},
                                          {"tcppp", Forward::Transport::tcp_proxy},
                                          {"tcppp2", Forward::Transport::tcp_proxy_v2},
                                          {"udpspp", Forward::Transport::udp_spp}}};

// Takes PROTO:// off the front, if there is one.
Result<void> take_scheme(std::string_view spec, std::string_view &rest, Forward &forward) {
  const size_t end = rest.find("://");
  if (end == std::string_view::npos) return {};
  const std::string_view name = rest.substr(0, end);
  rest.remove_prefix(end + 3);
  const Scheme *found =
      std::find_if(kSchemes.begin(), kSchemes.end(), [&](const Scheme &known) { return known.name == name; });
  if (found == kSchemes.end()) {
    return bad(spec, fmt::format("\"{}\" is not a protocol", name),
               "expected tcp, udp, udprpc, tcppp, tcppp2 or udpspp");
  }
  const bool local = forward.direction == Forward::Direction::local;
  if (local && found->transport == Forward::Transport::tcp_proxy_v2) {
    return bad(spec, "a listener on the host takes both versions of the PROXY protocol", "expected tcppp");
  }
  forward.transport = found->transport;
  return {};
}

// Where the kind of a socket begins, behind PORT or BIND:PORT; npos: none is named.
size_t find_socket_target(std::string_view text) {
  int depth = 0, parts = 0;
  for (size_t i = 0; i < text.size(); i++) {
    if (i == 0 || (text[i - 1] == ':' && depth == 0)) {
      if (names_socket_target(text.substr(i))) return i;
      if (++parts == 3) break;
    }
    if (text[i] == '[') depth++;
    if (text[i] == ']') depth--;
  }
  return std::string_view::npos;
}

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
  if (Result<void> taken = take_scheme(spec, rest, forward); !taken) return taken.error();
  if (const size_t at = find_socket_target(rest); at != std::string_view::npos) {
    if (direction == Forward::Direction::local) return bad(spec, "only -R leads to a socket of the host");
    if (!forward.is_tcp()) return bad(spec, "datagrams cannot go to a stream socket", kSocketGrammar);
    Result<SocketTarget> socket = parse_socket_target(rest.substr(at));
    if (!socket) return bad(spec, socket.error().text, kSocketGrammar);
    forward.socket = std::move(*socket);
    rest = rest.substr(0, at > 0 ? at - 1 : 0);
  }
  const bool to_socket = forward.socket.index() != 0;
  const std::string_view grammar = to_socket ? kSocketGrammar : kGrammar;
  std::optional<std::vector<std::string_view>> split_parts = split(rest);
  if (!split_parts) return bad(spec, "brackets do not match", grammar);
  const std::vector<std::string_view> &parts = *split_parts;
  if (to_socket && parts.size() > 2) return bad(spec, "too much before the socket", grammar);
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
    return bad(spec, fmt::format("\"{}\" is not an address to listen on", bind), grammar);
  }

  std::optional<uint16_t> listen_port = port.empty() ? 0 : parse_port(port);
  if (!listen_port) return bad(spec, fmt::format("\"{}\" is not a port (0-65535)", port), grammar);
  forward.listen.port = *listen_port;

  if (direction == Forward::Direction::remote && forward.listen.port == 0) {
    return bad(spec, "a listener inside needs a port", grammar);
  }
  if (to_socket) return forward;
  forward.target = host.empty() ? (v6 ? defaults.target_v6 : defaults.target_v4) : std::string(host);
  if (!host.empty() && !host_literal && !is_host_name(host))
    return bad(spec, fmt::format("\"{}\" is neither an address nor a name", host));
  std::optional<uint16_t> target_port = host_port.empty() ? 0 : parse_port(host_port);
  if (!target_port) return bad(spec, fmt::format("\"{}\" is not a port (0-65535)", host_port));
  forward.target_port = *target_port;
  return forward;
}

Result<Forward> parse_forward(std::string_view spec, Forward::Direction direction) {
  return parse_forward(spec, direction, ForwardDefaults::of(direction));
}

Result<Forward> parse_incoming(std::string_view spec, Forward::Transport transport) {
  constexpr std::string_view kExpected = "expected HOST:PORT,[SRC:PORT],DST:PORT";
  Forward forward;
  forward.direction = Forward::Direction::local;
  forward.transport = transport;
  forward.spec = spec;
  const bool connections = forward.is_tcp();
  std::string_view rest = spec;
  if (Result<void> taken = take_scheme(spec, rest, forward); !taken) return taken.error();
  if (forward.is_tcp() != connections) {
    return bad(spec, fmt::format("not a protocol of {}", connections ? "connections" : "datagrams"), kExpected);
  }
  size_t first = rest.find(','), second = first == std::string_view::npos ? first : rest.find(',', first + 1);
  bool three = second != std::string_view::npos && rest.find(',', second + 1) == std::string_view::npos;
  if (!three) return bad(spec, "not three fields", kExpected);

  std::string_view host = rest.substr(0, first), source = rest.substr(first + 1, second - first - 1),
                   destination = rest.substr(second + 1);
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

std::string Forward::target_text(uint16_t port) const {
  if (socket.index() != 0) return to_string(socket);
  return fmt::format("{}:{}", target, target_port ? target_port : port);
}

}  // namespace slipgate
