// IP addresses, endpoints and prefixes. IPv4 is kept as v4-mapped IPv6 (RFC 4291 section 2.5.5.2), so that one code
// path serves both families.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace slipgate {

class IpAddress {
 public:
  constexpr IpAddress() : bytes_{} {}  // ::, the unspecified IPv6 address

  static IpAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return from_v4(std::array<uint8_t, 4>{a, b, c, d});
  }
  static IpAddress from_v4(Bytes four) {  // 4 bytes, network order
    IpAddress address;
    std::memcpy(address.bytes_.data() + 8, kMappedEnd.data(), kMappedEnd.size());
    std::memcpy(address.bytes_.data() + 12, four.data(), 4);
    return address;
  }
  static IpAddress from_v6(Bytes sixteen) {  // 16 bytes, network order
    IpAddress address;
    std::memcpy(address.bytes_.data(), sixteen.data(), 16);
    return address;
  }
  static IpAddress any(bool v4) { return v4 ? IpAddress::v4(0, 0, 0, 0) : IpAddress(); }
  // "192.0.2.1" or "2001:db8::1", nothing else (no brackets, no scope).
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const {
    uint32_t third;
    std::memcpy(&third, bytes_.data() + 8, sizeof(third));
    return word(0) == 0 && third == std::bit_cast<uint32_t>(kMappedEnd);
  }
  Bytes v4_bytes() const { return Bytes(bytes_).subspan(12); }  // 4 bytes; only meaningful when is_v4()
  Bytes v6_bytes() const { return bytes_; }                     // 16 bytes, v4-mapped for IPv4
  // The address as it stands in a header of its family: 4 or 16 bytes.
  Bytes family_bytes() const { return is_v4() ? v4_bytes() : v6_bytes(); }
  int family_bits() const { return is_v4() ? 32 : 128; }

  // These are asked of every packet.
  bool is_unspecified() const { return *this == IpAddress() || *this == v4(0, 0, 0, 0); }
  bool is_loopback() const {  // 127.0.0.0/8, ::1
    if (is_v4()) return bytes_[12] == 127;
    IpAddress loopback;
    loopback.bytes_[15] = 1;
    return *this == loopback;
  }
  bool is_link_local() const;  // 169.254.0.0/16, fe80::/10
  bool is_multicast() const {  // 224.0.0.0/4, ff00::/8
    return is_v4() ? (bytes_[12] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
  }
  bool is_broadcast() const { return *this == v4(255, 255, 255, 255); }  // 255.255.255.255

  std::string to_string() const;
  auto operator<=>(const IpAddress &) const = default;
  // By words: every packet's key is compared, and a call of memcmp() costs more than both loads.
  bool operator==(const IpAddress &other) const { return word(0) == other.word(0) && word(8) == other.word(8); }

 private:
  // Behind eight zeros and before the IPv4 address.
  static constexpr std::array<uint8_t, 4> kMappedEnd{0, 0, 0xff, 0xff};

  uint64_t word(size_t at) const {
    uint64_t value;
    std::memcpy(&value, bytes_.data() + at, sizeof(value));
    return value;
  }

  std::array<uint8_t, 16> bytes_;
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  // "192.0.2.1:53" or "[2001:db8::1]:53".
  static std::optional<Endpoint> parse(std::string_view text);
  std::string to_string() const;
  auto operator<=>(const Endpoint &) const = default;
};

// An address and the number of its leading bits that count, in bits of its own family (0-32, 0-128). parse() and the
// constructor clear the host bits: two equal networks compare equal.
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;

  IpPrefix() = default;
  IpPrefix(const IpAddress &address, int length);
  // "10.0.0.0/8", "2001:db8::/32", or a bare address (its full length).
  static std::optional<IpPrefix> parse(std::string_view text);

  bool contains(const IpAddress &other) const;
  // The length counted in the 128-bit v4-mapped form.
  int mapped_length() const { return address.is_v4() ? length + 96 : length; }
  std::string to_string() const;
  auto operator<=>(const IpPrefix &) const = default;
};

// Where a datagram came from or goes to on the host's side: the remote endpoint, and which of our addresses and which
// interface it came in by (unspecified and 0: the kernel chooses), so that the answer leaves from where it was
// addressed.
struct DatagramPath {
  Endpoint remote;
  IpAddress local;
  uint32_t interface = 0;

  bool operator==(const DatagramPath &) const = default;
};

}  // namespace slipgate
