#include "config/wg_quick_edit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "crypto/key_text.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

std::string key_text(uint8_t fill) {
  std::array<uint8_t, 32> bytes;
  bytes.fill(fill);
  return to_base64(bytes);
}

wireguard::PublicKey public_key(uint8_t fill) {
  wireguard::PublicKey key;
  key.fill(fill);
  return key;
}

const std::string kServer = fmt::format(
    "# handwritten;  spacing kept\n[Interface]\nPrivateKey={}\nAddress = 10.0.0.1/24 , fd00::1/64\n\n"
    "# anna\n[Peer]\nPublicKey = {}\nAllowedIPs = 10.0.0.2/32, fd00::2/128\n# trailing remark of anna\n\n"
    "# a remark about the next ones\n\n"
    "[Peer]\n# Name = bert\nPublicKey = {}\nAllowedIPs=10.0.0.3/32\n# carl\n[Peer]\nPublicKey = {}\n",
    key_text(1), key_text(2), key_text(3), key_text(4));

struct TemporaryFolder {
  TemporaryFolder() { REQUIRE(mkdtemp(path)); }
  ~TemporaryFolder() { rmdir(path); }
  char path[32] = "/tmp/edit_test.XXXXXX";
};

mode_t mode_of(const std::string &path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode;
}

}  // namespace

TEST_CASE("adding a peer and removing it again leaves every byte as it was") {
  for (const std::string &text : {kServer, std::string("[Interface]\nPrivateKey = x\n"),
                                  std::string("\n\n[Interface]\n\n\n"), std::string("[Interface]\r\nMTU = 1400\r\n")}) {
    INFO(text);
    std::string block = peer_block("new", public_key(9), {*IpPrefix::parse("10.0.0.4/32")});
    std::string added = add_peer_block(text, block);
    CHECK(added.substr(0, text.size()) == text);
    CHECK(added.size() > text.size() + block.size());
    Result<std::string> removed = remove_peer_block(added, "new");
    REQUIRE(removed);
    CHECK(*removed == text);
  }
}

TEST_CASE("an added peer reads back, with the line ends of the file") {
  std::string added = add_peer_block("[Interface]\r\nMTU = 1400\r\n",
                                     peer_block("new", public_key(9), {*IpPrefix::parse("10.0.0.4/32")}));
  CHECK(
      added ==
      fmt::format("[Interface]\r\nMTU = 1400\r\n\r\n# new\r\n[Peer]\r\nPublicKey = {}\r\nAllowedIPs = 10.0.0.4/32\r\n",
                  key_text(9)));
  std::string no_line_end = add_peer_block("[Interface]", "# n\n[Peer]\n");
  CHECK(no_line_end == "[Interface]\n\n# n\n[Peer]\n");
}

TEST_CASE("removing takes a peer's own lines and no other") {
  Result<std::string> without_anna = remove_peer_block(kServer, "anna");
  REQUIRE(without_anna);
  CHECK(without_anna->find("anna") == std::string::npos);
  CHECK(without_anna->find(key_text(2)) == std::string::npos);
  CHECK(without_anna->find("\n\n# a remark about the next ones\n\n[Peer]\n# Name = bert") != std::string::npos);
  CHECK(without_anna->find("Address = 10.0.0.1/24 , fd00::1/64\n") != std::string::npos);

  Result<std::string> without_bert = remove_peer_block(kServer, "bert");
  REQUIRE(without_bert);
  CHECK(without_bert->find("bert") == std::string::npos);
  CHECK(without_bert->ends_with(fmt::format("# carl\n[Peer]\nPublicKey = {}\n", key_text(4))));
  CHECK(without_bert->find("# trailing remark of anna\n") != std::string::npos);

  Result<std::string> without_carl = remove_peer_block(kServer, "carl");
  REQUIRE(without_carl);
  CHECK(without_carl->ends_with("AllowedIPs=10.0.0.3/32\n"));
}

TEST_CASE("removing needs exactly one peer of the name") {
  Result<std::string> none = remove_peer_block(kServer, "dora");
  REQUIRE_FALSE(none);
  CHECK(none.error().text == "dora: no peer of this name; `slipgate peer list` shows them");
  Result<std::string> two = remove_peer_block("# x\n[Peer]\nPublicKey = a\n# x\n[Peer]\nPublicKey = b\n", "x");
  REQUIRE_FALSE(two);
  CHECK(two.error().text == "x: 2 peers have this name; give each its own in the comment above its [Peer]");
}

TEST_CASE("a new peer gets the next free address of every network") {
  struct Row {
    std::string_view addresses, allowed;
    std::vector<std::string> expected;  // empty: refused
  };
  const Row rows[] = {
      {"10.0.0.1/24, fd00::1/64", "", {"10.0.0.2/32", "fd00::2/128"}},
      {"10.0.0.1/24, fd00::1/64", "10.0.0.2/32, fd00::2/128, 10.0.0.4/32", {"10.0.0.3/32", "fd00::3/128"}},
      {"10.0.0.9/24", "10.0.0.1/32, 10.0.0.2/31", {"10.0.0.4/32"}},
      {"10.0.0.1/24", "0.0.0.0/0", {"10.0.0.2/32"}},
      {"10.0.0.1/24", "10.0.0.0/25", {"10.0.0.128/32"}},
      {"10.0.0.254/24",
       "10.0.0.0/25, 10.0.0.128/26, 10.0.0.192/27, 10.0.0.224/28, 10.0.0.240/29, 10.0.0.248/30, 10.0.0.252/32",
       {"10.0.0.253/32"}},
      {"10.0.0.1/30", "10.0.0.2/32", {}},  // .3 is the broadcast address
      {"10.0.0.1/32", "", {}},
      {"", "", {}},
  };
  for (const Row &row : rows) {
    INFO(row.addresses << " taken " << row.allowed);
    WgQuickFile file = read_wg_quick(
        fmt::format("[Interface]\nPrivateKey = {}\n{}\n[Peer]\nPublicKey = {}\nAllowedIPs = {}\n", key_text(1),
                    row.addresses.empty() ? "" : fmt::format("Address = {}", row.addresses), key_text(2), row.allowed),
        "f");
    REQUIRE(file.problems.empty());
    Result<std::vector<IpPrefix>> found = next_free_addresses(file);
    CHECK(static_cast<bool>(found) == !row.expected.empty());
    if (!found) continue;
    std::vector<std::string> texts;
    for (const IpPrefix &prefix : *found) texts.push_back(prefix.to_string());
    CHECK(texts == row.expected);
  }
}

TEST_CASE("peers' names are plain words") {
  for (std::string_view good : {"a", "anna-phone_2.x", "A9"}) CHECK(check_peer_name(good));
  for (std::string_view bad :
       {"", "a b", "../x", ".hidden", "-x", "a=b", "a\nb", "\xc3\xa4", "123456789012345678901234567890123"}) {
    INFO(bad);
    CHECK_FALSE(check_peer_name(bad));
  }
}

TEST_CASE("a client's file is a wg-quick file that reads without a word") {
  ClientFile client;
  client.name = "phone";
  client.private_key = *key_from_base64(key_text(5));
  client.addresses = {*IpPrefix::parse("10.0.0.2/32"), *IpPrefix::parse("fd00::2/128")};
  client.dns = {*IpAddress::parse("10.0.0.1")};
  client.mtu = 1420;
  client.gateway_key = public_key(6);
  client.endpoint = "[2001:db8::1]:51820";
  WgQuickFile file = read_wg_quick(client.to_text(), "client");
  CHECK(file.problems.empty());
  CHECK(file.notes.empty());
  REQUIRE(file.peers.size() == 1);
  CHECK(file.peers[0].config.persistent_keepalive == 25);
  CHECK(file.peers[0].config.endpoint == Endpoint::parse("[2001:db8::1]:51820"));
  CHECK(file.peers[0].config.allowed_ips ==
        std::vector<IpPrefix>{*IpPrefix::parse("0.0.0.0/0"), *IpPrefix::parse("::/0")});
  CHECK(file.mtu == 1420);
  CHECK(file.dns.size() == 1);
  CHECK(file.addresses.size() == 2);
}

TEST_CASE("a file is replaced at once, with its mode, through symbolic links") {
  TemporaryFolder folder;
  std::string path = fmt::format("{}/wg.conf", folder.path), link = fmt::format("{}/link", folder.path);
  REQUIRE(replace_file(path, "one"));
  CHECK((mode_of(path) & 07777) == 0600);
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  REQUIRE(symlink("wg.conf", link.c_str()) == 0);
  REQUIRE(replace_file(link, "two"));
  CHECK((mode_of(path) & 07777) == 0640);
  CHECK(S_ISLNK(mode_of(link)));
  CHECK(*read_whole_file(path) == "two");
  CHECK_FALSE(replace_file(fmt::format("{}/none/wg.conf", folder.path), "x"));
  unlink(link.c_str());
  unlink(path.c_str());
  CHECK(rmdir(folder.path) == 0);  // no temporary file was left
  REQUIRE(mkdir(folder.path, 0700) == 0);
}

TEST_CASE("one editor at a time") {
  TemporaryFolder folder;
  int other = open(folder.path, O_RDONLY | O_DIRECTORY);
  REQUIRE(other >= 0);
  {
    Result<EditLock> lock = EditLock::take(fmt::format("{}/wg.conf", folder.path));
    REQUIRE(lock);
    CHECK(flock(other, LOCK_EX | LOCK_NB) != 0);
  }
  CHECK(flock(other, LOCK_EX | LOCK_NB) == 0);
  close(other);
  CHECK_FALSE(EditLock::take(fmt::format("{}/none/wg.conf", folder.path)));
}
