#include "config/values.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/key_text.h"

namespace slipgate {

namespace {

constexpr size_t kKeyTextSize = 44;       // 32 bytes in base64
constexpr size_t kLongestHostName = 253;  // RFC 1035 section 2.3.4

template <typename... Arguments>
Error wrong(fmt::format_string<Arguments...> format, Arguments &&...arguments) {
  return Error{0, fmt::format(format, std::forward<Arguments>(arguments)...)};
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Edits (insert, remove, replace) that turn one word into the other.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t replaced = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  if (trim(text).empty()) return parts;
  while (true) {
    size_t end = text.find(separator);
    parts.push_back(trim(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string shown(std::string_view value) {
  constexpr size_t kLongest = 80;
  std::string text(value.substr(0, kLongest));
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return value.size() > kLongest ? text + "..." : text;
}

std::string_view closest_word(std::string_view word, std::span<const std::string_view> candidates) {
  constexpr size_t kLongest = 64;  // the comparison is quadratic
  std::string_view best;
  if (word.empty() || word.size() > kLongest) return best;
  size_t best_distance = word.size() / 3 + 2;  // a third of the letters may be wrong
  for (std::string_view candidate : candidates) {
    bool begins = candidate.size() > word.size() && same_word(candidate.substr(0, word.size()), word);
    size_t edits = begins ? 1 : distance(word, candidate);
    if (edits < best_distance) {
      best = candidate;
      best_distance = edits;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view near = closest_word(word, candidates);
  return near.empty() ? std::string() : fmt::format("; did you mean {}?", near);
}

Result<uint64_t> parse_number(std::string_view text, uint64_t low, uint64_t high) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool number = !text.empty() && end == text.data() + text.size() && error != std::errc::invalid_argument;
  if (!number) return wrong("not a whole number; give one from {} to {}", low, high);
  if (error == std::errc::result_out_of_range || value < low || value > high) {
    return wrong("out of range; give a number from {} to {}", low, high);
  }
  return value;
}

Result<IpAddress> parse_address(std::string_view text) {
  if (std::optional<IpAddress> address = IpAddress::parse(text)) return *address;
  return wrong("not an IP address; give one like 192.0.2.1 or 2001:db8::1");
}

Result<IpPrefix> parse_prefix(std::string_view text) {
  if (std::optional<IpPrefix> prefix = IpPrefix::parse(text)) return *prefix;
  std::optional<IpAddress> address = IpAddress::parse(trim(text.substr(0, text.find('/'))));
  if (address) return wrong("bad prefix length; give one from 0 to {}", address->family_bits());
  return wrong("not an IP address or prefix; give one like 10.0.0.0/24 or fd00::/64");
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  if (std::optional<Endpoint> endpoint = Endpoint::parse(text)) return *endpoint;
  if (IpAddress::parse(text)) return wrong("has no port; give IP:PORT like 192.0.2.1:53 or [2001:db8::1]:53");
  return wrong("not IP:PORT; give one like 192.0.2.1:53 or [2001:db8::1]:53");
}

Result<Endpoint> parse_endpoint_or_port(std::string_view text) {
  if (Result<uint64_t> port = parse_number(text, 0, 65535)) return Endpoint{IpAddress(), static_cast<uint16_t>(*port)};
  return parse_endpoint(text);
}

Result<Endpoint> parse_endpoint_or_address(std::string_view text, uint16_t port) {
  if (std::optional<IpAddress> address = IpAddress::parse(text)) return Endpoint{*address, port};
  return parse_endpoint(text);
}

bool is_host_or_scoped_address(std::string_view text) {
  if (text.empty() || text.size() > kLongestHostName || text.front() == '-' || text.front() == '.') return false;
  bool scoped = text.find('%') != std::string_view::npos;
  return std::ranges::all_of(text, [scoped](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           (scoped && (c == ':' || c == '%'));
  });
}

Result<void> parse_peer_endpoint(std::string_view text, WireGuardPeerOptions &peer) {
  constexpr std::string_view kRight =
      "give HOST:PORT, like vpn.example.org:51820, 192.0.2.1:51820 or [2001:db8::1]:51820";
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || IpAddress::parse(text)) return wrong("has no port; {}", kRight);
  std::string_view host = text.substr(0, colon);
  Result<uint64_t> port = parse_number(text.substr(colon + 1), 1, 65535);
  if (!port) return wrong("bad port; {}", kRight);
  bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (std::optional<IpAddress> address = IpAddress::parse(host)) {
    if (!address->is_v4() && !bracketed) return wrong("IPv6 address without brackets; {}", kRight);
    if (address->is_unspecified() || address->is_multicast() || address->is_broadcast()) {
      return wrong("an address that no single host has; {}", kRight);
    }
    peer.config.endpoint = Endpoint{*address, static_cast<uint16_t>(*port)};
    peer.endpoint_name.clear();
    peer.endpoint_port = 0;
    return {};
  }
  // "1.2.3.400" would be asked of the resolver in vain: a name's last label is not a number (RFC 3696 section 2).
  std::string_view last_label = host.substr(host.rfind('.') + 1);
  bool numeric = std::ranges::all_of(last_label, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_host_or_scoped_address(host) || numeric) return wrong("bad host; {}", kRight);
  peer.config.endpoint.reset();
  peer.endpoint_name = std::string(host);
  peer.endpoint_port = static_cast<uint16_t>(*port);
  return {};
}

Result<wireguard::Key> parse_key(std::string_view text, std::string_view what, bool secret) {
  // A secret is named, not shown: these lines end up in logs and bug reports.
  std::string value = secret ? fmt::format("{} ({} characters)", what, text.size()) : std::string(text);
  constexpr std::string_view kRight = "a key is 44 characters of base64, as `slipgate genkey` prints";
  if (text.empty()) return wrong("{}: empty; {}", what, kRight);
  std::optional<Secret<32>> key = key_from_base64(text);
  if (!key && text.size() != kKeyTextSize) {
    return secret ? wrong("{}: wrong length; {}", value, kRight)
                  : wrong("{}: {} characters, not a key; {}", value, text.size(), kRight);
  }
  if (!key) return wrong("{}: not base64 of 32 bytes; {}", value, kRight);
  if (key->is_zero()) return wrong("{}: all zeros, which no key is; {}", value, kRight);
  return *key;
}

Result<wireguard::PublicKey> parse_public_key(std::string_view text, std::string_view what) {
  Result<wireguard::Key> key = parse_key(text, what, false);
  if (!key) return key.error();
  wireguard::PublicKey bytes;
  std::ranges::copy(key->bytes(), bytes.begin());
  return bytes;
}

Result<uint16_t> parse_keepalive(std::string_view text) {
  if (same_word(text, "off")) return uint16_t{0};
  if (Result<uint64_t> interval = parse_number(text, 0, 65535)) return static_cast<uint16_t>(*interval);
  return wrong("not a number of seconds; give one from 0 to 65535, or off (25 keeps most NATs open)");
}

}  // namespace slipgate
