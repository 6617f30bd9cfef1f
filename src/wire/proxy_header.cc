#include "wire/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace slipgate {

namespace {

std::optional<uint16_t> port_of(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

// "PROXY TCP4 192.0.2.1 203.0.113.1 40000 443\r\n"
ProxyV1 parse_proxy_v1(Bytes bytes) {
  constexpr std::string_view kStart = "PROXY ";
  std::string_view text = text_of(bytes);
  std::string_view known = text.substr(0, kStart.size());
  if (known != kStart.substr(0, known.size())) return {};
  size_t end = text.substr(0, kMostProxyV1Bytes).find("\r\n");
  if (end == std::string_view::npos) {
    return {.state = text.size() < kMostProxyV1Bytes ? ProxyV1::State::incomplete : ProxyV1::State::malformed};
  }

  // Exactly one space between the words.
  std::array<std::string_view, 6> words;
  std::string_view rest = text.substr(0, end);
  for (std::string_view &word : words) {
    size_t space = rest.find(' ');
    word = rest.substr(0, space);
    bool last = &word == &words.back();
    if (word.empty() || last != (space == std::string_view::npos)) return {};
    if (!last) rest.remove_prefix(space + 1);
  }
  std::optional<IpAddress> source = IpAddress::parse(words[2]), destination = IpAddress::parse(words[3]);
  std::optional<uint16_t> source_port = port_of(words[4]), destination_port = port_of(words[5]);
  if (!source || !destination || !source_port || !destination_port) return {};
  if (words[1] != "TCP4" && words[1] != "TCP6") return {};
  bool v4 = words[1] == "TCP4";
  if (source->is_v4() != v4 || destination->is_v4() != v4) return {};
  return {.state = ProxyV1::State::complete,
          .size = end + 2,
          .client = {{*source, *source_port}, {*destination, *destination_port}}};
}

const SppHeader *view_spp(Bytes datagram) {
  const SppHeader *header = view_as<SppHeader>(datagram);
  return header && header->magic == SppHeader::kMagic ? header : nullptr;
}

}  // namespace slipgate
