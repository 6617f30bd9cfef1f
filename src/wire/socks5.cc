#include "wire/socks5.h"

#include <algorithm>

namespace slipgate::socks5 {

namespace {

constexpr uint8_t kVersion = 5;
constexpr uint8_t kLoginVersion = 1;  // RFC 1929 section 2

enum AddressType : uint8_t { kIpV4 = 0x01, kDomainName = 0x03, kIpV6 = 0x04 };  // RFC 1928 section 5

void put_endpoint(ByteWriter &writer, const Endpoint &endpoint) {
  writer.u8(endpoint.address.is_v4() ? kIpV4 : kIpV6);
  writer.put(endpoint.address.family_bytes());
  writer.u16(endpoint.port);
}

struct Address {
  bool known_type = true;
  std::optional<IpAddress> address;  // none: a name
  uint16_t port = 0;
};

Address take_address(ByteReader &reader) {
  Address taken;
  const uint8_t type = reader.u8();
  if (!reader.ok()) return taken;
  if (type == kIpV4) {
    if (Bytes bytes = reader.take(4); reader.ok()) taken.address = IpAddress::from_v4(bytes);
  } else if (type == kIpV6) {
    if (Bytes bytes = reader.take(16); reader.ok()) taken.address = IpAddress::from_v6(bytes);
  } else if (type == kDomainName) {
    reader.skip(reader.u8());
  } else {
    taken.known_type = false;
  }
  taken.port = reader.u16();
  return taken;
}

// A message that begins with its version: wrong ones are known from the first byte.
State state_of(const ByteReader &reader, uint8_t version) {
  Bytes whole = reader.whole();
  if (!whole.empty() && whole[0] != version) return State::malformed;
  return reader.ok() ? State::complete : State::incomplete;
}

}  // namespace

std::vector<uint8_t> make_greeting(Method method) {
  return {kVersion, 1, static_cast<uint8_t>(method)};
}

std::vector<uint8_t> make_login(std::string_view user, std::string_view password) {
  std::vector<uint8_t> message{kLoginVersion};
  for (std::string_view part : {user, password}) {
    message.push_back(static_cast<uint8_t>(part.size()));
    message.insert(message.end(), part.begin(), part.end());
  }
  return message;
}

std::vector<uint8_t> make_request(Command command, const Endpoint &to) {
  uint8_t room[kMostDatagramHeader];
  ByteWriter writer(room);
  writer.u8(kVersion);
  writer.u8(static_cast<uint8_t>(command));
  writer.u8(0);
  put_endpoint(writer, to);
  return {writer.written().begin(), writer.written().end()};
}

MethodChoice parse_method(Bytes bytes) {
  ByteReader reader(bytes);
  reader.skip(1);
  const auto method = static_cast<Method>(reader.u8());
  return {.state = state_of(reader, kVersion), .size = reader.position(), .method = method};
}

LoginStatus parse_login_status(Bytes bytes) {
  ByteReader reader(bytes);
  reader.skip(1);
  const uint8_t status = reader.u8();
  return {.state = state_of(reader, kLoginVersion), .size = reader.position(), .good = status == 0};
}

RequestReply parse_reply(Bytes bytes) {
  ByteReader reader(bytes);
  reader.skip(1);
  const auto reply = static_cast<Reply>(reader.u8());
  reader.skip(1);
  const Address bound = take_address(reader);
  if (!bound.known_type) return {};
  return {.state = state_of(reader, kVersion),
          .size = reader.position(),
          .reply = reply,
          .address = bound.address,
          .port = bound.port};
}

DatagramHeaderBytes::DatagramHeaderBytes(const Endpoint &peer) {
  ByteWriter writer(bytes_);
  writer.u16(0);
  writer.u8(0);
  put_endpoint(writer, peer);
  size_ = writer.size();
}

std::optional<Datagram> parse_datagram(Bytes bytes) {
  ByteReader reader(bytes);
  reader.skip(2);
  const uint8_t fragment = reader.u8();
  const Address peer = take_address(reader);
  if (!reader.ok() || fragment != 0 || !peer.address) return std::nullopt;
  return Datagram{{*peer.address, peer.port}, reader.rest()};
}

}  // namespace slipgate::socks5
