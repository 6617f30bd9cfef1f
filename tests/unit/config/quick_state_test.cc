#include "config/quick_state.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "crypto/key_text.h"
#include "crypto/x25519.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

struct TemporaryFolder {
  TemporaryFolder() { REQUIRE(mkdtemp(path)); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string state() const { return fmt::format("{}/a/state", path); }
  char path[32] = "/tmp/quick_test.XXXXXX";
};

mode_t mode_of(const std::string &path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a public endpoint is a host with or without port") {
  struct Row {
    std::string_view text, written;  // empty: refused
  };
  const Row rows[] = {
      {"home.example.org", "home.example.org:51820"},
      {"home.example.org:99", "home.example.org:99"},
      {"192.0.2.1", "192.0.2.1:51820"},
      {"192.0.2.1:99", "192.0.2.1:99"},
      {"2001:db8::1", "[2001:db8::1]:51820"},
      {"[2001:db8::1]", "[2001:db8::1]:51820"},
      {"[2001:db8::1]:99", "[2001:db8::1]:99"},
      {"", ""},
      {"host:", ""},
      {"host:0", ""},
      {"host:70000", ""},
      {"two words", ""},
      {"[nonsense]", ""},
      {"1.2.3.400", ""},
      {"a\nb", ""},
  };
  for (const Row &row : rows) {
    INFO(row.text);
    Result<PublicEndpoint> endpoint = PublicEndpoint::parse(row.text);
    CHECK(static_cast<bool>(endpoint) == !row.written.empty());
    if (endpoint) CHECK(endpoint->to_string(51820) == row.written);
  }
}

TEST_CASE("the state directory and all in it are private") {
  TemporaryFolder folder;
  Result<QuickState> state = QuickState::open(folder.state());
  REQUIRE(state);
  CHECK(mode_of(folder.state()) == 0700);
  REQUIRE(state->make_server(51820, 1420));
  CHECK(mode_of(state->server_path()) == 0600);
  REQUIRE(chmod(folder.state().c_str(), 0755) == 0);
  REQUIRE(QuickState::open(folder.state()));
  CHECK(mode_of(folder.state()) == 0700);
}

TEST_CASE("what quick makes reads as a gateway and a client that fit together") {
  TemporaryFolder folder;
  Result<QuickState> state = QuickState::open(folder.state());
  REQUIRE(state);
  CHECK_FALSE(state->has_server());
  REQUIRE(state->make_server(4500, 1400));
  CHECK(state->has_server());
  Result<ClientFile> client = add_peer(state->server_path(), "first", {"192.0.2.1", 0}, 4500);
  REQUIRE(client);

  WgQuickFile server = load_wg_quick(state->server_path());
  REQUIRE(server.problems.empty());
  CHECK(server.notes.empty());
  CHECK(server.listen_port == 4500);
  REQUIRE(server.addresses.size() == 2);
  CHECK(IpPrefix::parse("10.0.0.0/8")->contains(server.addresses[0].address));
  CHECK(server.addresses[0].length == 24);
  CHECK(IpPrefix::parse("fd00::/8")->contains(server.addresses[1].address));
  CHECK(server.addresses[1].length == 64);
  REQUIRE(server.peers.size() == 1);
  CHECK(server.peers[0].config.name == "first");

  WgQuickFile read = read_wg_quick(client->to_text(), "client");
  REQUIRE(read.problems.empty());
  CHECK(public_key_of(read.private_key) == server.peers[0].config.public_key);
  REQUIRE(read.peers.size() == 1);
  CHECK(read.peers[0].config.public_key == public_key_of(server.private_key));
  CHECK(read.peers[0].config.endpoint == Endpoint::parse("192.0.2.1:4500"));
  CHECK(read.mtu == 1400);
  REQUIRE(read.addresses.size() == 2);
  CHECK(server.addresses[0].network().contains(read.addresses[0].address));
  CHECK(server.peers[0].config.allowed_ips[0].address == read.addresses[0].address);
  CHECK(read.dns == std::vector<IpAddress>{server.addresses[0].address, server.addresses[1].address});
}

TEST_CASE("peers are added with different keys and addresses, and removed") {
  TemporaryFolder folder;
  Result<QuickState> state = QuickState::open(folder.state());
  REQUIRE(state);
  REQUIRE(state->make_server(51820, 1420));
  std::string before = *read_whole_file(state->server_path());
  Result<ClientFile> a = add_peer(state->server_path(), "a", {"h", 0}, 51820),
                     b = add_peer(state->server_path(), "b", {"h", 0}, 51820);
  REQUIRE(a);
  REQUIRE(b);
  CHECK_FALSE(a->private_key == b->private_key);
  CHECK(a->addresses != b->addresses);
  Result<ClientFile> again = add_peer(state->server_path(), "a", {"h", 0}, 51820);
  REQUIRE_FALSE(again);
  CHECK(again.error().text.find("has a peer of this name") != std::string::npos);
  CHECK_FALSE(add_peer(state->server_path(), "../x", {"h", 0}, 51820));

  REQUIRE(remove_peer(state->server_path(), "a"));
  // The address that became free is the next to be given.
  Result<ClientFile> c = add_peer(state->server_path(), "c", {"h", 0}, 51820);
  REQUIRE(c);
  CHECK(c->addresses == a->addresses);
  REQUIRE(remove_peer(state->server_path(), "c"));
  REQUIRE(remove_peer(state->server_path(), "b"));
  CHECK(*read_whole_file(state->server_path()) == before);
}

TEST_CASE("clients' files follow the endpoint, their keys stay") {
  TemporaryFolder folder;
  Result<QuickState> state = QuickState::open(folder.state());
  REQUIRE(state);
  REQUIRE(state->make_server(51820, 1420));
  Result<ClientFile> client = add_peer(state->server_path(), "first", {"192.0.2.1", 0}, 51820);
  REQUIRE(client);
  std::string text = client->to_text();
  REQUIRE(replace_file(state->client_path("first"), text));
  CHECK(state->clients() == std::vector<std::string>{"first"});

  Result<std::vector<std::string>> same = state->update_endpoints({"192.0.2.1", 0}, 51820);
  REQUIRE(same);
  CHECK(same->empty());
  Result<std::vector<std::string>> moved = state->update_endpoints({"2001:db8::1", 7}, 51820);
  REQUIRE(moved);
  CHECK(*moved == std::vector<std::string>{"first"});
  std::string expected = text;
  expected.replace(expected.find("192.0.2.1:51820"), 15, "[2001:db8::1]:7");
  CHECK(*read_whole_file(state->client_path("first")) == expected);

  CHECK_FALSE(state->endpoint());
  REQUIRE(state->set_endpoint("home.example.org"));
  REQUIRE(state->endpoint());
  CHECK(state->endpoint()->host == "home.example.org");
}
