// SOCKS version 5 as its client speaks it: RFC 1928, and the login by user name and password of RFC 1929.
//
//   client                                        proxy
//   VER NMETHODS METHODS                    →
//                                           ←     VER METHOD                             section 3
//   VER ULEN UNAME PLEN PASSWD              →                                            RFC 1929 section 2
//                                           ←     VER STATUS
//   VER CMD RSV ATYP DST.ADDR DST.PORT      →                                            section 4
//                                           ←     VER REP RSV ATYP BND.ADDR BND.PORT     section 6
//
// Messages to be sent are made whole; of what comes, parse_…() looks at the first bytes, as many as are there.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"

namespace slipgate::socks5 {

enum class Method : uint8_t { no_authentication = 0x00, username_password = 0x02, no_acceptable_methods = 0xff };

enum class Command : uint8_t { connect = 0x01, bind = 0x02, udp_associate = 0x03 };

enum class Reply : uint8_t {
  succeeded = 0x00,
  general_failure = 0x01,
  not_allowed = 0x02,
  network_unreachable = 0x03,
  host_unreachable = 0x04,
  connection_refused = 0x05,
  ttl_expired = 0x06,
  command_not_supported = 0x07,
  address_type_not_supported = 0x08,
};

std::vector<uint8_t> make_greeting(Method method);
// Each of 1 to 255 bytes.
std::vector<uint8_t> make_login(std::string_view user, std::string_view password);
std::vector<uint8_t> make_request(Command command, const Endpoint &to);

enum class State : uint8_t {
  incomplete,  // so far so good: read on
  malformed,   // another version, or an address of no known type
  complete,
};

struct MethodChoice {
  using State = socks5::State;
  State state = State::malformed;
  size_t size = 0;  // bytes of the message
  Method method = Method::no_acceptable_methods;
};
MethodChoice parse_method(Bytes bytes);

struct LoginStatus {
  using State = socks5::State;
  State state = State::malformed;
  size_t size = 0;
  bool good = false;
};
LoginStatus parse_login_status(Bytes bytes);

struct RequestReply {
  using State = socks5::State;
  State state = State::malformed;
  size_t size = 0;
  Reply reply = Reply::general_failure;
  std::optional<IpAddress> address;  // BND.ADDR; none: a name stands there
  uint16_t port = 0;
};
RequestReply parse_reply(Bytes bytes);

// Before every datagram, both ways (section 7): RSV FRAG ATYP DST.ADDR DST.PORT DATA.
inline constexpr size_t kMostDatagramHeader = 22;  // with an IPv6 address

class DatagramHeaderBytes {
 public:
  explicit DatagramHeaderBytes(const Endpoint &peer);
  Bytes bytes() const { return Bytes(bytes_).first(size_); }

 private:
  uint8_t bytes_[kMostDatagramHeader];
  size_t size_;
};

struct Datagram {
  Endpoint peer;  // who sent it, or whom it is for
  Bytes payload;
};
// None: too short, a fragment ("an implementation that does not support fragmentation MUST drop" it), or a name stands
// where the address should.
std::optional<Datagram> parse_datagram(Bytes bytes);

}  // namespace slipgate::socks5
