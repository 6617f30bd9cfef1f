#include "wire/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

namespace slipgate {

namespace {

std::optional<uint16_t> port_of(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// "PROXY TCP4 192.0.2.1 203.0.113.1 40000 443\r\n", "PROXY UNKNOWN\r\n"
ProxyHeader parse_v1(Bytes bytes) {
  using State = ProxyHeader::State;
  constexpr std::string_view kStart = "PROXY ";
  std::string_view text = text_of(bytes);
  std::string_view known = text.substr(0, kStart.size());
  if (known != kStart.substr(0, known.size())) return {};
  size_t end = text.substr(0, kMostProxyV1Bytes).find("\r\n");
  if (end == std::string_view::npos) {
    return {.state = text.size() < kMostProxyV1Bytes ? State::incomplete : State::malformed};
  }

  std::string_view rest = text.substr(0, end);
  // What follows that word is to be ignored.
  const std::string_view named = rest.substr(kStart.size());
  if (named == "UNKNOWN" || named.starts_with("UNKNOWN ")) return {.state = State::complete, .size = end + 2};
  // Exactly one space between the words.
  std::array<std::string_view, 6> words;
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
  return {.state = State::complete,
          .size = end + 2,
          .client = ProxiedClient{{*source, *source_port}, {*destination, *destination_port}}};
}

// What follows a version 2 header for TCP.
template <size_t kBytes>
struct ProxyV2Addresses {
  uint8_t source[kBytes];
  uint8_t destination[kBytes];
  be16 source_port;
  be16 destination_port;
};
using ProxyV2Ipv4 = ProxyV2Addresses<4>;
using ProxyV2Ipv6 = ProxyV2Addresses<16>;
static_assert(sizeof(ProxyV2Ipv4) == 12 && sizeof(ProxyV2Ipv6) == 36);

ProxyHeader parse_v2(Bytes bytes) {
  using State = ProxyHeader::State;
  const size_t known = std::min(bytes.size(), sizeof(ProxyV2Header::kSignature));
  if (std::memcmp(bytes.data(), ProxyV2Header::kSignature, known) != 0) return {};
  const auto *header = view_as<ProxyV2Header>(bytes);
  if (!header) return {.state = State::incomplete};
  const size_t size = sizeof(ProxyV2Header) + header->length;
  const bool local = header->version_command == ProxyV2Header::kLocal;
  if (!local && header->version_command != ProxyV2Header::kProxy) return {};
  // Families 0 (unspecified) to 3 (Unix), transports 0 (unspecified) to 2 (datagrams): others must not be taken.
  if ((header->family_transport >> 4) > 3 || (header->family_transport & 15) > 2) return {};
  if (size > kMostProxyV2Bytes) return {};
  const bool v4 = !local && header->family_transport == ProxyV2Header::kTcpOverIpv4;
  const bool v6 = !local && header->family_transport == ProxyV2Header::kTcpOverIpv6;
  if ((v4 && header->length < sizeof(ProxyV2Ipv4)) || (v6 && header->length < sizeof(ProxyV2Ipv6))) return {};
  if (size > bytes.size()) return {.state = State::incomplete};
  const Bytes addresses = bytes.subspan(sizeof(ProxyV2Header));
  ProxyHeader found{.state = State::complete, .size = size};
  if (v4) {
    const auto *ipv4 = view_as<ProxyV2Ipv4>(addresses);
    found.client = ProxiedClient{{IpAddress::from_v4(ipv4->source), ipv4->source_port},
                                 {IpAddress::from_v4(ipv4->destination), ipv4->destination_port}};
  } else if (v6) {
    const auto *ipv6 = view_as<ProxyV2Ipv6>(addresses);
    found.client = ProxiedClient{{IpAddress::from_v6(ipv6->source), ipv6->source_port},
                                 {IpAddress::from_v6(ipv6->destination), ipv6->destination_port}};
  }
  return found;
}

template <typename T>
void append(std::vector<uint8_t> &to, const T &value) {
  const Bytes bytes = bytes_of(value);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

template <typename Addresses>
void append_addresses(std::vector<uint8_t> &to, Bytes source, Bytes destination, const ProxiedClient &client) {
  Addresses addresses{};
  std::copy(source.begin(), source.end(), addresses.source);
  std::copy(destination.begin(), destination.end(), addresses.destination);
  addresses.source_port = client.source.port;
  addresses.destination_port = client.destination.port;
  append(to, addresses);
}

}  // namespace

ProxyHeader parse_proxy_header(Bytes bytes) {
  if (bytes.empty()) return {.state = ProxyHeader::State::incomplete};
  return bytes[0] == ProxyV2Header::kSignature[0] ? parse_v2(bytes) : parse_v1(bytes);
}

std::vector<uint8_t> make_proxy_header(int version, const ProxiedClient &client) {
  const auto &[source, destination] = client;
  const bool v4 = source.address.is_v4();
  std::vector<uint8_t> made;
  if (version == 1) {
    fmt::format_to(std::back_inserter(made), "PROXY TCP{} {} {} {} {}\r\n", v4 ? 4 : 6, source.address.to_string(),
                   destination.address.to_string(), source.port, destination.port);
    return made;
  }
  ProxyV2Header header{};
  std::copy(std::begin(ProxyV2Header::kSignature), std::end(ProxyV2Header::kSignature), header.signature);
  header.version_command = ProxyV2Header::kProxy;
  header.family_transport = v4 ? ProxyV2Header::kTcpOverIpv4 : ProxyV2Header::kTcpOverIpv6;
  header.length = static_cast<uint16_t>(v4 ? sizeof(ProxyV2Ipv4) : sizeof(ProxyV2Ipv6));
  append(made, header);
  if (v4) {
    append_addresses<ProxyV2Ipv4>(made, source.address.v4_bytes(), destination.address.v4_bytes(), client);
  } else {
    append_addresses<ProxyV2Ipv6>(made, source.address.v6_bytes(), destination.address.v6_bytes(), client);
  }
  return made;
}

const SppHeader *view_spp(Bytes datagram) {
  const SppHeader *header = view_as<SppHeader>(datagram);
  return header && header->magic == SppHeader::kMagic ? header : nullptr;
}

}  // namespace slipgate
