#include "control/uapi.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <map>

#include "control/uapi_socket.h"
#include "crypto/key_text.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

using namespace slipgate;
using wireguard::PeerConfig;
using wireguard::PeerStatus;
using wireguard::PublicKey;

namespace {

// What the API speaks about, without packets.
class Settings final : public WireGuardControl {
 public:
  WireGuardSettings now;
  std::map<PublicKey, PeerStatus> standing;
  int refuse_port = 0;
  size_t changes = 0;

  WireGuardSettings settings() const override { return now; }
  Result<void> change(const wireguard::Key *key, std::optional<uint16_t> port, std::optional<uint32_t> mark) override {
    if (port && refuse_port) return Error{refuse_port, "no"};
    if (key) now.private_key = *key;
    if (port) now.listen_port = *port;
    if (mark) now.mark = *mark;
    return {};
  }
  std::vector<PeerStatus> peers() const override {
    std::vector<PeerStatus> all;
    for (const auto &[key, status] : standing) all.push_back(status);
    return all;
  }
  std::optional<PeerConfig> peer(const PublicKey &key) const override {
    auto found = standing.find(key);
    return found == standing.end() ? std::nullopt : std::optional(found->second.config);
  }
  size_t peer_count() const override { return standing.size(); }
  void set_peer(const PeerConfig &config) override {
    changes++;
    PeerStatus &status = standing[config.public_key];
    status.config = config;
    if (config.endpoint) status.path = DatagramPath{*config.endpoint, {}, 0};
  }
  void remove_peer(const PublicKey &key) override { standing.erase(key); }
};

PublicKey key_of(char digit) {
  return public_bytes(*key_from_hex(std::string(64, digit)));
}
std::string public_key(char digit) {
  return "public_key=" + std::string(64, digit) + "\n";
}

// A whole conversation, so many changes at a time as there are.
std::string say(Settings &settings, std::string_view text) {
  UapiSession session(settings);
  std::string answer;
  while (!text.empty() && !session.broken()) {
    const size_t taken = session.take(text, answer, 1000);
    text.remove_prefix(taken);
    if (taken == 0) break;
  }
  return answer;
}
int set(Settings &settings, const std::string &lines) {
  const std::string answer = say(settings, "set=1\n" + lines + "\n");
  REQUIRE(answer.starts_with("errno="));
  REQUIRE(answer.ends_with("\n\n"));
  return std::stoi(answer.substr(6));
}

}  // namespace

TEST_CASE("set changes the interface and its peers, get tells them") {
  Settings settings;
  const std::string lines = "private_key=" + std::string(64, '4') +
                            "\nlisten_port=12912\nfwmark=7\nreplace_peers=true\n" + public_key('b') +
                            "preshared_key=" + std::string(64, '1') +
                            "\nreplace_allowed_ips=true\nallowed_ip=192.168.4.4/32\nallowed_ip=fd00::/64\n"
                            "endpoint=[abcd:23::33%2]:51820\n";
  CHECK(set(settings, lines) == -EINVAL);  // a scope is no number that we know
  CHECK(set(settings, "private_key=" + std::string(64, '4') + "\nlisten_port=12912\nfwmark=7\nreplace_peers=true\n" +
                          public_key('b') + "preshared_key=" + std::string(64, '1') +
                          "\nreplace_allowed_ips=true\nallowed_ip=192.168.4.4/32\nallowed_ip=fd00::/64\n"
                          "endpoint=[abcd:23::33]:51820\npersistent_keepalive_interval=111\nprotocol_version=1\n" +
                          public_key('a') + "endpoint=182.122.22.19:3233\nallowed_ip=10.0.0.0/8\n") == 0);
  settings.standing[key_of('b')].received_bytes = 2224;
  settings.standing[key_of('b')].sent_bytes = 38333;
  CHECK(say(settings, "get=1\n\n") == "private_key=" + std::string(64, '4') + "\nlisten_port=12912\nfwmark=7\n" +
                                          public_key('a') + "preshared_key=" + std::string(64, '0') +
                                          "\nprotocol_version=1\nendpoint=182.122.22.19:3233\n"
                                          "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\n"
                                          "rx_bytes=0\npersistent_keepalive_interval=0\nallowed_ip=10.0.0.0/8\n" +
                                          public_key('b') + "preshared_key=" + std::string(64, '1') +
                                          "\nprotocol_version=1\nendpoint=[abcd:23::33]:51820\n"
                                          "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=38333\n"
                                          "rx_bytes=2224\npersistent_keepalive_interval=111\n"
                                          "allowed_ip=192.168.4.4/32\nallowed_ip=fd00::/64\nerrno=0\n\n");
}

TEST_CASE("the time of a handshake is the wall clock's") {
  Settings settings;
  set(settings, public_key('a'));
  settings.standing[key_of('a')].last_handshake = BootClock::now() - seconds(30);
  const std::string answer = say(settings, "get=1\n\n");
  const size_t at = answer.find("last_handshake_time_sec=");
  REQUIRE(at != std::string::npos);
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  CHECK(std::abs(std::stol(answer.substr(at + 24)) - std::chrono::duration_cast<seconds>(wall).count() + 30) <= 2);
}

TEST_CASE("what a set does not name stays") {
  Settings settings;
  set(settings, public_key('a') + "preshared_key=" + std::string(64, '1') +
                    "\nallowed_ip=10.0.0.0/8\npersistent_keepalive_interval=5\n" + public_key('b'));
  CHECK(set(settings, public_key('a') + "allowed_ip=10.1.0.0/16\n") == 0);
  const PeerConfig &peer = settings.standing[key_of('a')].config;
  CHECK(peer.allowed_ips == std::vector<IpPrefix>{*IpPrefix::parse("10.0.0.0/8"), *IpPrefix::parse("10.1.0.0/16")});
  CHECK(peer.persistent_keepalive == 5);
  CHECK_FALSE(peer.preshared_key.is_zero());
  CHECK(set(settings, public_key('a') + "allowed_ip=-10.0.0.0/8\n") == 0);
  CHECK(peer.allowed_ips == std::vector<IpPrefix>{*IpPrefix::parse("10.1.0.0/16")});
  CHECK(set(settings, public_key('a') + "replace_allowed_ips=true\n") == 0);
  CHECK(peer.allowed_ips.empty());
  CHECK(settings.standing.size() == 2);
}

TEST_CASE("a peer that has moved is not sent back by a change of something else uapi-endpoint-stays") {
  Settings settings;
  set(settings, public_key('a') + "endpoint=192.0.2.1:1\n");
  settings.standing[key_of('a')].path->remote = *Endpoint::parse("192.0.2.99:99");
  set(settings, public_key('a') + "persistent_keepalive_interval=25\n");
  CHECK(settings.standing[key_of('a')].path->remote == *Endpoint::parse("192.0.2.99:99"));
}

TEST_CASE("peers are removed, replaced, and with update_only not made uapi-update-only") {
  Settings settings;
  set(settings, public_key('a') + public_key('b'));
  CHECK(set(settings, public_key('c') + "update_only=true\nallowed_ip=10.0.0.0/8\n") == 0);
  CHECK(settings.standing.size() == 2);
  CHECK(set(settings, public_key('a') + "update_only=true\npersistent_keepalive_interval=9\n") == 0);
  CHECK(settings.standing[key_of('a')].config.persistent_keepalive == 9);
  // wg says both, in this order; what follows is not for a peer that is gone.
  CHECK(set(settings, public_key('a') + "remove=true\nupdate_only=true\nallowed_ip=10.0.0.0/8\n") == 0);
  CHECK(settings.standing.size() == 1);
  CHECK(set(settings, "replace_peers=true\n" + public_key('c')) == 0);
  CHECK(settings.standing.size() == 1);
  CHECK(settings.standing.contains(key_of('c')));
}

TEST_CASE("after a wrong line the rest of the request has no effect, the next request is heard") {
  for (const std::string &wrong :
       {std::string("listen_port=65536"), std::string("listen_port="), std::string("listen_port=1 "),
        std::string("fwmark=4294967296"), std::string("private_key=12"), std::string("no_such_key=1"),
        std::string("nothing"), std::string("=1"), std::string("replace_peers=false"),
        std::string("allowed_ip=10.0.0.0/8"), public_key('a') + "listen_port=1",
        public_key('a') + "allowed_ip=10.0.0.0/33", public_key('a') + "endpoint=name:1",
        public_key('a') + "endpoint=192.0.2.1", public_key('a') + "preshared_key=0",
        public_key('a') + "persistent_keepalive_interval=off", public_key('a') + "protocol_version=2",
        public_key('a') + "remove=1", std::string("public_key=00")}) {
    Settings settings;
    const std::string answer = say(settings, "set=1\n" + wrong + "\n" + public_key('b') + "\nget=1\n\n");
    CAPTURE(wrong, answer);
    CHECK(answer.starts_with("errno=-"));  // wg(8) prints "Unknown error" for a set's positive one
    CHECK(answer.find("\n\nlisten_port=0\nerrno=0\n\n") != std::string::npos);
    CHECK(settings.standing.empty());
  }
}

TEST_CASE("an error of the interface is the answer") {
  Settings settings;
  settings.refuse_port = EADDRINUSE;
  CHECK(set(settings, "listen_port=53\n") == -EADDRINUSE);
}

TEST_CASE("what is not the protocol ends the conversation") {
  Settings settings;
  std::string answer;
  for (const char *text : {"GET / HTTP/1.1\r\n", "get=2\n", "set=\n"}) {
    UapiSession session(settings);
    session.take(text, answer, 1);
    CHECK(session.broken());
  }
  CHECK(answer.empty());
  CHECK(say(settings, "get=1\nlisten_port=1\n\n") == fmt::format("errno={}\n\n", EINVAL));
}

TEST_CASE("a line without end is not waited for uapi-line-bounded") {
  Settings settings;
  UapiSession session(settings);
  std::string answer;
  session.take("set=1\nallowed_ip=" + std::string(UapiSession::kLongestLine, '1') + "\n", answer, 1);
  CHECK(session.broken());
  UapiSession other(settings);
  other.take(std::string(UapiSession::kLongestLine + 1, 's'), answer, 1);
  CHECK(other.broken());
}

TEST_CASE("a long request is taken a few peers at a time, however its bytes come") {
  Settings settings;
  std::string text = "set=1\n";
  for (int i = 0; i < 300; i++) text += fmt::format("public_key={:064x}\nallowed_ip=10.0.{}.0/24\n", i + 1, i % 256);
  text += "\n";
  UapiSession session(settings);
  std::string answer, waiting;
  size_t given = 0, largest = 0;
  while (answer.empty()) {
    const size_t more = std::min<size_t>(37, text.size() - given);
    waiting += text.substr(given, more);
    given += more;
    const size_t before = settings.changes;
    waiting.erase(0, session.take(waiting, answer, 4));
    largest = std::max(largest, settings.changes - before);
    REQUIRE_FALSE(session.broken());
  }
  CHECK(answer == "errno=0\n\n");
  CHECK(settings.standing.size() == 300);
  CHECK(largest <= 4);
}

// --- the socket ---

namespace {

struct Folder {
  Folder() { REQUIRE(mkdtemp(path)); }
  ~Folder() { std::filesystem::remove_all(path); }
  char path[32] = "/tmp/uapi_test.XXXXXX";
};

Fd connect_to(const std::string &path) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0);
  return socket;
}

// What comes until `end`, or until the other side closes.
std::string hear(Loop &loop, const Fd &socket, std::string_view end) {
  std::string heard;
  bool closed = false;
  test::run_until(loop, [&] {
    char chunk[4096];
    ssize_t count;
    while ((count = ::recv(socket.get(), chunk, sizeof(chunk), 0)) > 0) heard.append(chunk, static_cast<size_t>(count));
    closed = count == 0 || (count < 0 && errno == ECONNRESET);
    return closed || heard.ends_with(end);
  });
  return heard;
}

void tell(const Fd &socket, std::string_view text) {
  REQUIRE(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("the socket serves several at once, its file is ours alone and goes with it") {
  Folder folder;
  Loop loop;
  Settings settings;
  auto opened = UapiSocket::open(loop, settings, folder.path, "wg0");
  REQUIRE(opened);
  const std::string path = (*opened)->path();
  CHECK(path == fmt::format("{}/wg0.sock", folder.path));
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  auto second = UapiSocket::open(loop, settings, folder.path, "wg0");
  REQUIRE_FALSE(second);
  CHECK(second.error().code == EADDRINUSE);

  Fd one = connect_to(path), two = connect_to(path);
  tell(one, "set=1\n" + public_key('a'));
  tell(two, "get=1\n\n");
  CHECK(hear(loop, two, "\n\n") == "listen_port=0\nerrno=0\n\n");
  tell(one, "persistent_keepalive_interval=3\n\n");
  CHECK(hear(loop, one, "\n\n") == "errno=0\n\n");
  tell(two, "get=1\n\nget=1\n\n");
  const std::string twice = hear(loop, two, "errno=0\n\n");
  CHECK(twice.find(public_key('a')) != std::string::npos);
  tell(one, "hello\n");
  CHECK(hear(loop, one, "?").empty());  // closed

  opened->reset();
  CHECK(::stat(path.c_str(), &status) != 0);
}

TEST_CASE("who asks and goes away at once is served, too") {
  Folder folder;
  Loop loop;
  Settings settings;
  auto opened = UapiSocket::open(loop, settings, folder.path, "wg0");
  REQUIRE(opened);
  {
    Fd one = connect_to((*opened)->path());
    std::string text = "set=1\n";
    for (int i = 0; i < 100; i++) text += fmt::format("public_key={:064x}\n", i + 1);
    tell(one, text + "\n");
  }
  CHECK(test::run_until(loop, [&] { return settings.standing.size() == 100; }));
}

TEST_CASE("packets have their turn while many peers come") {
  Folder folder;
  Loop loop;
  Settings settings;
  auto opened = UapiSocket::open(loop, settings, folder.path, "wg0");
  REQUIRE(opened);
  Fd one = connect_to((*opened)->path());
  std::string text = "set=1\n";
  for (int i = 0; i < 200; i++) text += fmt::format("public_key={:064x}\n", i + 1);
  tell(one, text + "\n");
  size_t largest = 0, before = 0;
  for (int turn = 0; turn < 1000 && settings.changes < 200; turn++) {
    loop.turn(milliseconds(10));
    largest = std::max(largest, settings.changes - before);
    before = settings.changes;
  }
  CHECK(settings.changes == 200);
  CHECK(largest <= UapiSocket::kChangesPerTurn);
}

TEST_CASE("too many connections cost the one that was silent the longest uapi-clients-bounded") {
  Folder folder;
  Loop loop;
  Settings settings;
  auto opened = UapiSocket::open(loop, settings, folder.path, "wg0");
  REQUIRE(opened);
  std::vector<Fd> clients;
  for (size_t i = 0; i <= UapiSocket::kMostClients; i++) {
    clients.push_back(connect_to((*opened)->path()));
    tell(clients.back(), "get=1\n\n");
    hear(loop, clients.back(), "\n\n");
  }
  char byte;
  CHECK(test::run_until(loop, [&] { return ::recv(clients[0].get(), &byte, 1, 0) == 0; }));
  tell(clients[1], "get=1\n\n");
  CHECK(hear(loop, clients[1], "\n\n").ends_with("errno=0\n\n"));
}
