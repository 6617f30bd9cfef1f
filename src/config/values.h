// Values as people write them, read one by one. Every error says what is wrong with the value and what would be right;
// the value of a secret is never repeated in it.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/secret.h"
#include "link/options.h"

namespace slipgate {

// Packets that fit a UDP datagram of IPv4: 65507 bytes less WireGuard's 32, rounded down to its padding of 16.
inline constexpr uint64_t kSmallestMtu = 576;  // RFC 791: every host takes packets of this size
inline constexpr uint64_t kLargestMtu = 65472;

std::string_view trim(std::string_view text);  // spaces, tabs and carriage returns at both ends
std::vector<std::string_view> split(std::string_view text, char separator);  // parts trimmed; "" has none
bool same_word(std::string_view a, std::string_view b);                      // case does not matter (ASCII)

// What a message shows of a value: control characters and overlong text stay out of the terminal.
std::string shown(std::string_view value);

// The candidate most like `word`, or "" when none is near enough to be what was meant.
std::string_view closest_word(std::string_view word, std::span<const std::string_view> candidates);
// "; did you mean X?" or "".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

// A decimal number within [low, high].
Result<uint64_t> parse_number(std::string_view text, uint64_t low, uint64_t high);
Result<IpAddress> parse_address(std::string_view text);
Result<IpPrefix> parse_prefix(std::string_view text);
Result<Endpoint> parse_endpoint(std::string_view text);
// "IP:PORT", or "PORT" alone: of every address.
Result<Endpoint> parse_endpoint_or_port(std::string_view text);
// "IP:PORT", or "IP" alone with the port given.
Result<Endpoint> parse_endpoint_or_address(std::string_view text, uint16_t port);

// "HOST:PORT", "192.0.2.1:51820" or "[2001:db8::1]:51820" of a WireGuard peer. An address goes to config.endpoint, a
// name to endpoint_name and endpoint_port.
Result<void> parse_peer_endpoint(std::string_view text, WireGuardPeerOptions &peer);
// A host name as resolvers take it (also one with a scope, fe80::1%eth0).
bool is_host_or_scoped_address(std::string_view text);

// 32 bytes in base64, not all zeros. The error names `what` ("PrivateKey") and, for `secret`, not the value.
Result<wireguard::Key> parse_key(std::string_view text, std::string_view what, bool secret);
Result<wireguard::PublicKey> parse_public_key(std::string_view text, std::string_view what);
// Seconds between keepalives: a number, or "off".
Result<uint16_t> parse_keepalive(std::string_view text);

}  // namespace slipgate
