#include "flow/socket_target.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace slipgate {

namespace {

// sockaddr_un's, less the end of the string.
constexpr size_t kMostPath = sizeof(sockaddr_un::sun_path) - 1;

constexpr std::array<std::string_view, 4> kKinds{"unix", "vsock", "tipc", "firecracker"};

std::string_view kind_of(std::string_view text) {
  return text.substr(0, std::min(text.find(':'), text.size()));
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<std::string> path(std::string_view text) {
  if (text.size() < 2 || (text[0] != '/' && text[0] != '@') || text.find('\0') != std::string_view::npos) {
    return Error{0, fmt::format("\"{}\" is neither an absolute path nor @NAME", text)};
  }
  if (text.size() > kMostPath) return Error{0, fmt::format("\"{}\" is longer than {} bytes", text, kMostPath)};
  return std::string(text);
}

// Two numbers with a colon between them.
std::optional<std::array<uint32_t, 2>> numbers(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::optional<uint32_t> first = number(text.substr(0, colon)), second = number(text.substr(colon + 1));
  if (!first || !second) return std::nullopt;
  return std::array{*first, *second};
}

}  // namespace

bool names_socket_target(std::string_view text) {
  const std::string_view kind = kind_of(text);
  return kind.size() < text.size() && std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end();
}

Result<SocketTarget> parse_socket_target(std::string_view text) {
  if (!names_socket_target(text)) return Error{0, fmt::format("\"{}\" is no kind of socket", kind_of(text))};
  const std::string_view kind = kind_of(text), rest = text.substr(kind.size() + 1);
  if (kind == "unix") {
    Result<std::string> name = path(rest);
    if (!name) return name.error();
    return SocketTarget(target::Unix{std::move(*name)});
  }
  if (kind == "firecracker") {
    const size_t colon = std::min(rest.rfind(':'), rest.size());
    std::optional<uint32_t> port = colon < rest.size() ? number(rest.substr(colon + 1)) : std::nullopt;
    if (!port) return Error{0, fmt::format("\"{}\" has no vsock port behind its path", rest)};
    Result<std::string> name = path(rest.substr(0, colon));
    if (!name) return name.error();
    return SocketTarget(target::Firecracker{std::move(*name), *port});
  }
  std::optional<std::array<uint32_t, 2>> both = numbers(rest);
  if (!both) return Error{0, fmt::format("\"{}\" is not two numbers (0-4294967295)", rest)};
  if (kind == "vsock") return SocketTarget(target::Vsock{(*both)[0], (*both)[1]});
  return SocketTarget(target::Tipc{(*both)[0], (*both)[1]});
}

std::string to_string(const SocketTarget &target) {
  struct Text {
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(const target::Unix &to) const { return "unix:" + to.path; }
    std::string operator()(const target::Vsock &to) const { return fmt::format("vsock:{}:{}", to.cid, to.port); }
    std::string operator()(const target::Tipc &to) const { return fmt::format("tipc:{}:{}", to.type, to.instance); }
    std::string operator()(const target::Firecracker &to) const {
      return fmt::format("firecracker:{}:{}", to.path, to.port);
    }
  };
  return std::visit(Text{}, target);
}

}  // namespace slipgate
