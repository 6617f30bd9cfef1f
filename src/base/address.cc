#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace slipgate {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof(terminated)) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  if (std::memchr(terminated, '\0', text.size())) return std::nullopt;
  std::array<uint8_t, 16> bytes;
  if (inet_pton(AF_INET, terminated, bytes.data()) == 1) return from_v4(Bytes(bytes).first(4));
  if (inet_pton(AF_INET6, terminated, bytes.data()) == 1) return from_v6(bytes);
  return std::nullopt;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes_[12] == 169 && bytes_[13] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, family_bytes().data(), text, sizeof(text));
  return text;
}

namespace {

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::optional<uint16_t> port = parse_number<uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  std::optional<IpAddress> address = IpAddress::parse(host);
  bool has_colon = host.find(':') != std::string_view::npos;
  if (!port || !address || bracketed != has_colon) return std::nullopt;
  return Endpoint{*address, *port};
}

std::string Endpoint::to_string() const {
  std::string host = address.to_string();
  return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

IpPrefix::IpPrefix(const IpAddress &whole, int bits) : length(static_cast<uint8_t>(bits)) {
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), whole.v6_bytes().data(), 16);
  int kept = whole.is_v4() ? bits + 96 : bits;
  for (int i = 0; i < 16; i++) {
    int bits_here = std::clamp(kept - i * 8, 0, 8);
    bytes[i] &= static_cast<uint8_t>(0xff00 >> bits_here);
  }
  address = IpAddress::from_v6(bytes);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  size_t slash = text.find('/');
  std::optional<IpAddress> address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return IpPrefix(*address, address->family_bits());
  std::optional<int> length = parse_number<int>(text.substr(slash + 1));
  if (!length || *length < 0 || *length > address->family_bits()) return std::nullopt;
  return IpPrefix(*address, *length);
}

bool IpPrefix::contains(const IpAddress &other) const {
  return other.is_v4() == address.is_v4() && IpPrefix(other, length).address == address;
}

std::string IpPrefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

}  // namespace slipgate
