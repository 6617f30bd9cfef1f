// A resolver on loopback, UDP and TCP on one port, that answers as a test says; and a loop that turns until something
// is so.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "dns/server.h"
#include "io/loop.h"
#include "support/catch.h"
#include "wire/dns.h"

namespace slipgate::dns {

// False when `condition` does not come true in ten seconds.
inline bool turn_until(Loop &loop, const std::function<bool()> &condition) {
  Time end = BootClock::now() + seconds(10);
  while (!condition()) {
    if (BootClock::now() > end) return false;
    loop.turn(milliseconds(1));  // the fake's sockets are Asio's, in which the loop does not wait
  }
  return true;
}

// Builds responses record by record.
class Made {
 public:
  Made(const Query &query, Code code = Code::NoError, uint16_t more_flags = 0)
      : query_(query), flags_(static_cast<uint16_t>(QR | RA | RD | static_cast<uint16_t>(code) | more_flags)) {}

  Made &answer(const Name &owner, Type type, uint32_t ttl, Bytes data) {
    return add(answers_, owner, static_cast<uint16_t>(type), ttl, data);
  }
  Made &address(std::string_view text, uint32_t ttl = 300) {
    IpAddress address = *IpAddress::parse(text);
    return answer(query_.question.name, address.is_v4() ? Type::A : Type::AAAA, ttl, address.family_bytes());
  }
  Made &soa(uint32_t ttl, uint32_t minimum) {
    std::vector<uint8_t> data(22);
    data[18] = static_cast<uint8_t>(minimum >> 24), data[19] = static_cast<uint8_t>(minimum >> 16);
    data[20] = static_cast<uint8_t>(minimum >> 8), data[21] = static_cast<uint8_t>(minimum);
    return add(authorities_, *Name::parse("example"), static_cast<uint16_t>(Type::SOA), ttl, data);
  }
  Made &additional(const Name &owner, Type type, uint32_t ttl, Bytes data) {
    return add(additionals_, owner, static_cast<uint16_t>(type), ttl, data);
  }
  Made &with_opt() {
    opt_ = true;
    return *this;
  }
  std::vector<uint8_t> bytes() {
    std::vector<uint8_t> message(65535);
    ByteWriter writer{MutableBytes(message)};
    write_header(writer, query_.id, flags_, 1, answers_.count, authorities_.count,
                 static_cast<uint16_t>(additionals_.count + (opt_ ? 1 : 0)));
    write_question(writer, query_.question);
    for (const Section *section : {&answers_, &authorities_, &additionals_}) writer.put(section->bytes);
    if (opt_) write_opt(writer, {4096, 0, 0, false});
    message.resize(writer.size());
    return message;
  }

 private:
  struct Section {
    std::vector<uint8_t> bytes;
    uint16_t count = 0;
  };

  Made &add(Section &section, const Name &owner, uint16_t type, uint32_t ttl, Bytes data) {
    std::vector<uint8_t> record(Name::kMaxSize + 10 + data.size());
    ByteWriter writer{MutableBytes(record)};
    write_record(writer, query_.question, owner, static_cast<Type>(type), ttl, data);
    section.bytes.insert(section.bytes.end(), record.begin(), record.begin() + static_cast<ptrdiff_t>(writer.size()));
    section.count++;
    return *this;
  }

  Query query_;
  uint16_t flags_;
  Section answers_, authorities_, additionals_;
  bool opt_ = false;
};

class FakeUpstream {
 public:
  // Empty: no answer.
  using Handler = std::function<std::vector<uint8_t>(const Query &query, bool tcp)>;

  FakeUpstream(Loop &loop, Handler handler)
      : handler_(std::move(handler)), udp_(loop.context()), acceptor_(loop.context()) {
    // A port that is free for UDP may be in use for TCP: take another.
    std::error_code taken;
    do {
      udp_ = asio::ip::udp::socket(loop.context(), {asio::ip::address_v4::loopback(), 0});
      acceptor_ = asio::ip::tcp::acceptor(loop.context(), asio::ip::tcp::v4());
      acceptor_.set_option(asio::socket_base::reuse_address(true));
      acceptor_.bind({asio::ip::address_v4::loopback(), udp_.local_endpoint().port()}, taken);
    } while (taken);
    acceptor_.listen();
    receive();
    accept();
  }

  Endpoint endpoint() const { return {IpAddress::v4(127, 0, 0, 1), udp_.local_endpoint().port()}; }
  void handle(Handler handler) { handler_ = std::move(handler); }

  int asked_udp = 0, asked_tcp = 0;
  std::vector<Query> queries;

 private:
  struct Session {
    explicit Session(asio::ip::tcp::socket on) : socket(std::move(on)) {}
    asio::ip::tcp::socket socket;
    std::array<uint8_t, 2> length;
    std::vector<uint8_t> message, reply;
  };

  std::vector<uint8_t> answer(Bytes message, bool tcp) {
    std::variant<Query, BadQuery> parsed = parse_query(message);
    const Query *query = std::get_if<Query>(&parsed);
    if (!query) return {};
    (tcp ? asked_tcp : asked_udp)++;
    queries.push_back(*query);
    return handler_(*query, tcp);
  }
  void receive() {
    udp_.async_receive_from(asio::buffer(datagram_), from_, [this](const std::error_code &error, size_t size) {
      if (error == asio::error::operation_aborted) return;
      std::vector<uint8_t> reply = answer(Bytes(datagram_).first(size), false);
      if (!reply.empty()) udp_.send_to(asio::buffer(reply), from_);
      receive();
    });
  }
  void accept() {
    acceptor_.async_accept([this](const std::error_code &error, asio::ip::tcp::socket socket) {
      if (error) return;
      read(std::make_shared<Session>(std::move(socket)));
      accept();
    });
  }
  void read(std::shared_ptr<Session> session) {
    asio::async_read(session->socket, asio::buffer(session->length), [this, session](std::error_code error, size_t) {
      if (error) return;
      session->message.resize(static_cast<size_t>(session->length[0]) << 8 | session->length[1]);
      asio::async_read(session->socket, asio::buffer(session->message),
                       [this, session](std::error_code failed, size_t) {
                         if (failed) return;
                         std::vector<uint8_t> reply = answer(session->message, true);
                         if (reply.empty()) return;
                         session->reply = {static_cast<uint8_t>(reply.size() >> 8), static_cast<uint8_t>(reply.size())};
                         session->reply.insert(session->reply.end(), reply.begin(), reply.end());
                         asio::async_write(session->socket, asio::buffer(session->reply),
                                           [this, session](std::error_code broken, size_t) {
                                             if (!broken) read(session);
                                           });
                       });
    });
  }

  Handler handler_;
  asio::ip::udp::socket udp_;
  asio::ip::tcp::acceptor acceptor_;
  std::array<uint8_t, 4096> datagram_;
  asio::ip::udp::endpoint from_;
};

// A folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "slipgate-dns-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  std::string file(const std::string &name) const { return (path_ / name).string(); }
  // As editors and network managers do: a new file in the old one's place.
  void write(const std::string &name, const std::string &content) const {
    std::ofstream(file(name + ".new")) << content;
    std::filesystem::rename(file(name + ".new"), file(name));
  }

 private:
  std::filesystem::path path_;
};

// A server in front of one fake upstream, and the questions of a test.
struct ServerTest {
  ServerTest() {
    folder.write("hosts",
                 "127.0.0.1 localhost\n"
                 "# a comment\n"
                 "192.0.2.10\tBox.example box  # the box\n"
                 "2001:db8::10 box.example\n"
                 "192.0.2.11 four.example\n"
                 "nonsense line\n");
    folder.write("resolv.conf", "");
    options.hosts_path = folder.file("hosts");
    options.resolv_conf_path = folder.file("resolv.conf");
    options.recheck = Duration(0);
    options.timeout = milliseconds(100);
    options.tries = 2;
    options.upstream = {upstream.endpoint()};
  }

  Server &server() {
    if (!made) made = std::make_unique<Server>(loop, counters, options);
    return *made;
  }

  static Query question(std::string_view name, Type type, uint16_t id = 7) {
    Query query;
    query.id = id;
    query.recursion_desired = true;
    query.question = {*Name::parse(name), static_cast<uint16_t>(type), static_cast<uint16_t>(Class::IN)};
    return query;
  }

  // Asks, and turns until the answer is there.
  std::vector<uint8_t> ask(Bytes message, Transport transport = Transport::udp, uint32_t client = 1) {
    auto answer = std::make_shared<std::optional<std::vector<uint8_t>>>();
    server().query(message, transport, client, [answer](Bytes bytes) {
      REQUIRE_FALSE(*answer);
      answer->emplace(bytes.begin(), bytes.end());
    });
    REQUIRE(turn_until(loop, [&] { return answer->has_value(); }));
    return **answer;
  }
  std::vector<uint8_t> ask(const Query &query, Transport transport = Transport::udp, uint32_t client = 1) {
    return ask(make_query(query), transport, client);
  }
  Response response(const Query &query, Transport transport = Transport::udp) {
    last = ask(query, transport);
    std::optional<Response> parsed = parse_response(last);
    REQUIRE(parsed);
    CHECK(parsed->id == query.id);
    // To the letter: some clients compare the case of what they asked.
    Bytes asked = query.question.name.bytes();
    CHECK(std::equal(asked.begin(), asked.end(), last.begin() + sizeof(Header)));
    return *parsed;
  }
  std::string address(const Record &record) const {
    Bytes data = Bytes(last).subspan(record.data_offset, record.data_size);
    return (data.size() == 4 ? IpAddress::from_v4(data) : IpAddress::from_v6(data)).to_string();
  }
  Name name(const Record &record) const {
    ByteReader reader{Bytes(last)};
    reader.seek(record.data_offset);
    return *Name::read(reader);
  }

  Loop loop;
  Counters counters;
  TemporaryFolder folder;
  FakeUpstream upstream{loop, [](const Query &, bool) { return std::vector<uint8_t>(); }};
  Options options;
  std::unique_ptr<Server> made;
  std::vector<uint8_t> last;
};

}  // namespace slipgate::dns
