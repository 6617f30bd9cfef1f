#include "wire/socks5.h"

#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::socks5;

namespace {

using Message = std::vector<uint8_t>;

Message with(Message message, Message more) {
  message.insert(message.end(), more.begin(), more.end());
  return message;
}

const Message kV6{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01};

}  // namespace

TEST_CASE("socks5: what the client says (RFC 1928 sections 3 and 4, RFC 1929)") {
  CHECK(make_greeting(Method::no_authentication) == Message{5, 1, 0});
  CHECK(make_greeting(Method::username_password) == Message{5, 1, 2});
  CHECK(make_login("me", "xyz") == Message{1, 2, 'm', 'e', 3, 'x', 'y', 'z'});
  CHECK(make_login(std::string(255, 'u'), std::string(255, 'p')).size() == 513);
  CHECK(make_request(Command::connect, *Endpoint::parse("192.0.2.1:443")) == Message{5, 1, 0, 1, 192, 0, 2, 1, 1, 187});
  CHECK(make_request(Command::udp_associate, *Endpoint::parse("[2001:db8::1]:80")) ==
        with(with({5, 3, 0, 4}, kV6), {0, 80}));
}

TEST_CASE("socks5: what the proxy says, and every beginning of it is incomplete") {
  struct Row {
    Message message;
    Reply reply;
    std::optional<IpAddress> address;
    uint16_t port;
  };
  const Row kRows[] = {
      {{5, 0, 0, 1, 192, 0, 2, 1, 4, 56}, Reply::succeeded, IpAddress::parse("192.0.2.1"), 1080},
      {with(with({5, 5, 0, 4}, kV6), {0, 0}), Reply::connection_refused, IpAddress::parse("2001:db8::1"), 0},
      {{5, 0, 0, 3, 3, 'a', '.', 'b', 0, 9}, Reply::succeeded, std::nullopt, 9},
      {{5, 0, 0, 3, 0, 0, 9}, Reply::succeeded, std::nullopt, 9},
  };
  for (const Row &row : kRows) {
    const Message more = with(row.message, {1, 2, 3});
    for (size_t size = 0; size < row.message.size(); size++) {
      CHECK(parse_reply(Bytes(more).first(size)).state == State::incomplete);
    }
    RequestReply reply = parse_reply(more);
    REQUIRE(reply.state == State::complete);
    CHECK(reply.size == row.message.size());
    CHECK(reply.reply == row.reply);
    CHECK(reply.address == row.address);
    CHECK(reply.port == row.port);
  }
  CHECK(parse_method(Message{5}).state == State::incomplete);
  CHECK(parse_method(Message{5, 2, 9}).state == State::complete);
  CHECK(parse_method(Message{5, 2, 9}).size == 2);
  CHECK(parse_method(Message{5, 2}).method == Method::username_password);
  CHECK(parse_method(Message{5, 0xff}).method == Method::no_acceptable_methods);
  CHECK(parse_login_status(Message{1, 0}).good);
  CHECK_FALSE(parse_login_status(Message{1, 1}).good);
}

TEST_CASE("socks5: another version and an unknown type of address are malformed, from the byte that says so") {
  CHECK(parse_method(Message{4}).state == State::malformed);
  CHECK(parse_login_status(Message{5}).state == State::malformed);
  CHECK(parse_reply(Message{4}).state == State::malformed);
  CHECK(parse_reply(Message{'H', 'T', 'T', 'P'}).state == State::malformed);
  CHECK(parse_reply(Message{5, 0, 0}).state == State::incomplete);
  CHECK(parse_reply(Message{5, 0, 0, 2}).state == State::malformed);
}

TEST_CASE("socks5: datagrams name their peer (RFC 1928 section 7)") {
  for (const char *text : {"192.0.2.1:53", "[2001:db8::1]:53"}) {
    const Endpoint peer = *Endpoint::parse(text);
    const DatagramHeaderBytes header(peer);
    Message message(header.bytes().begin(), header.bytes().end());
    for (size_t size = 0; size < message.size(); size++) CHECK_FALSE(parse_datagram(Bytes(message).first(size)));
    std::optional<Datagram> empty = parse_datagram(message);
    REQUIRE(empty);
    CHECK(empty->payload.empty());
    message.push_back('x');
    std::optional<Datagram> datagram = parse_datagram(message);
    REQUIRE(datagram);
    CHECK(datagram->peer == peer);
    CHECK(text_of(datagram->payload) == "x");
    message[2] = 1;  // a fragment
    CHECK_FALSE(parse_datagram(message));
  }
  CHECK_FALSE(parse_datagram(Message{0, 0, 0, 3, 1, 'a', 0, 9, 'x'}));
  CHECK_FALSE(parse_datagram(Message{0, 0, 0, 7, 1, 'a', 0, 9, 'x'}));
}
