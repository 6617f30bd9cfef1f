#include "config/wg_quick.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "config/wg_quick_edit.h"
#include "crypto/key_text.h"
#include "crypto/x25519.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

// Keys that nobody uses: bytes 1, 2, 3 … repeated.
std::string key_text(uint8_t fill) {
  std::array<uint8_t, 32> bytes;
  bytes.fill(fill);
  return to_base64(bytes);
}

const std::string kPrivate = key_text(0x48);
const std::string kPeerA = key_text(0x0a);
const std::string kPeerB = key_text(0x0b);

std::string interface_section(std::string_view more = "") {
  return fmt::format("[Interface]\nPrivateKey = {}\n{}", kPrivate, more);
}

std::string peer_section(const std::string &key, std::string_view more = "") {
  return fmt::format("[Peer]\nPublicKey = {}\n{}", key, more);
}

std::vector<std::string> texts(const Problems &problems) {
  std::vector<std::string> all;
  for (const Problem &problem : problems) all.push_back(problem.to_string());
  return all;
}

std::vector<std::string> prefixes(const WireGuardPeerOptions &peer) {
  std::vector<std::string> all;
  for (const IpPrefix &prefix : peer.config.allowed_ips) all.push_back(prefix.to_string());
  return all;
}

}  // namespace

TEST_CASE("a whole wg-quick file is read as it is") {
  WgQuickFile file = read_wg_quick(fmt::format("# my gateway\n"
                                               "[Interface]\n"
                                               "PrivateKey = {}   # secret\n"
                                               "listenport=51820\n"
                                               "ADDRESS = 10.0.0.1/24, fd00::1/64\n"
                                               "Address = 10.1.0.1\n"
                                               "DNS = 1.1.1.1, example.org,2606:4700::1111\n"
                                               "MTU = 1380\n"
                                               "Table = off\n"
                                               "PostUp = iptables -A FORWARD -i %i -j ACCEPT\n"
                                               "PostUp = echo again\n"
                                               "SaveConfig = true\n"
                                               "FwMark = 0xca6c\n"
                                               "\n"
                                               "# laptop\n"
                                               "[Peer]\n"
                                               "PublicKey = {}\n"
                                               "PresharedKey = {}\n"
                                               "AllowedIPs = 10.0.0.2/32,fd00::2/128\n"
                                               "AllowedIPs = 192.168.7.9/24\n"
                                               "Endpoint = vpn.example.org:51821\n"
                                               "PersistentKeepalive = 25\n"
                                               "\n"
                                               "[peer]\n"
                                               "# Name = old phone\n"
                                               "PublicKey = {}\n"
                                               "AllowedIPs = \n"
                                               "Endpoint = [2001:db8::7]:1234\n"
                                               "PersistentKeepalive = off\n",
                                               kPrivate, kPeerA, key_text(7), kPeerB),
                                   "wg0.conf");
  CHECK(texts(file.problems) == std::vector<std::string>{});
  CHECK(texts(file.notes) ==
        std::vector<std::string>{"wg0.conf:9: Table, PostUp, SaveConfig, FwMark: no effect here (no "
                                 "interface is made on this machine)"});
  CHECK(to_base64(file.private_key.bytes()) == kPrivate);
  CHECK(file.listen_port == 51820);
  CHECK(file.mtu == 1380);
  REQUIRE(file.addresses.size() == 3);
  CHECK(file.addresses[0].address == IpAddress::v4(10, 0, 0, 1));
  CHECK(file.addresses[0].network() == *IpPrefix::parse("10.0.0.0/24"));
  CHECK(file.addresses[1].length == 64);
  CHECK(file.addresses[2].length == 32);
  CHECK(file.dns.size() == 2);
  CHECK(file.search_domains == std::vector<std::string>{"example.org"});

  REQUIRE(file.peers.size() == 2);
  CHECK(file.peers[0].config.name == "laptop");
  CHECK(to_base64(file.peers[0].config.public_key) == kPeerA);
  CHECK(to_base64(file.peers[0].config.preshared_key.bytes()) == key_text(7));
  CHECK(prefixes(file.peers[0]) == std::vector<std::string>{"10.0.0.2/32", "fd00::2/128", "192.168.7.0/24"});
  CHECK(file.peers[0].endpoint_name == "vpn.example.org");
  CHECK(file.peers[0].endpoint_port == 51821);
  CHECK_FALSE(file.peers[0].config.endpoint);
  CHECK(file.peers[0].config.persistent_keepalive == 25);
  CHECK(file.peers[1].config.name == "old phone");
  CHECK(file.peers[1].config.endpoint == Endpoint::parse("[2001:db8::7]:1234"));
  CHECK(file.peers[1].config.persistent_keepalive == 0);
  CHECK(file.peers[1].config.allowed_ips.empty());
}

TEST_CASE("line ends and marks of Windows editors are taken") {
  WgQuickFile file =
      read_wg_quick(fmt::format("\xef\xbb\xbf[Interface]\r\nPrivateKey = {}\r\nListenPort = 5\r\n", kPrivate), "f");
  CHECK(texts(file.problems) == std::vector<std::string>{});
  CHECK(file.listen_port == 5);
}

TEST_CASE("each problem is said with file, line, value and what would be right") {
  struct Row {
    std::string text;
    std::vector<std::string> problems;
  };
  const std::string own = to_base64(public_key_of(*key_from_base64(kPrivate)));
  const Row rows[] = {
      {"", {"f: no [Interface]; a wg-quick file begins with [Interface] and a PrivateKey"}},
      {"[Interface]\nListenPort = 1\n", {"f:1: [Interface]: no PrivateKey; add one that `slipgate genkey` prints"}},
      {"[Interface]\nPrivateKey = abc\n",
       {"f:2: PrivateKey (3 characters): wrong length; a key is 44 characters of base64, as `slipgate genkey` prints"}},
      {fmt::format("[Interface]\nPrivateKey = {}\n", key_text(0)),
       {"f:2: PrivateKey (44 characters): all zeros, which no key is; a key is 44 characters of base64, as `slipgate "
        "genkey` prints"}},
      {interface_section("ListenPort = 70000\n"),
       {"f:3: ListenPort 70000: out of range; give a number from 0 to 65535"}},
      {interface_section("ListenPort = many\n"),
       {"f:3: ListenPort many: not a whole number; give one from 0 to 65535"}},
      {interface_section("MTU = 100\n"), {"f:3: MTU 100: out of range; give a number from 576 to 65472"}},
      {interface_section("Address = 10.0.0.1/33, fd00::1\n"),
       {"f:3: Address 10.0.0.1/33: bad prefix length; give one from 0 to 32"}},
      {interface_section("Address = localhost\n"),
       {"f:3: Address localhost: not an IP address or prefix; give one like 10.0.0.0/24 or fd00::/64"}},
      {interface_section("Address = 224.0.0.1/24\n"),
       {"f:3: Address 224.0.0.1/24: an address that no machine may have; give one like 10.0.0.1/24 or fd00::1/64"}},
      {interface_section("DNS = what?\n"),
       {"f:3: DNS what?: neither an IP address nor a search domain; give one like 1.1.1.1 or example.org"}},
      {interface_section("Adress = 10.0.0.1/24\n"),
       {"f:3: Adress: unknown key; did you mean Address?; known here: PrivateKey, ListenPort, Address, DNS, MTU, "
        "Table, PreUp, "
        "PostUp, PreDown, PostDown, SaveConfig, FwMark"}},
      {interface_section("AllowedIPs = 10.0.0.1/32\n"), {"f:3: AllowedIPs: belongs under [Peer], not here"}},
      {interface_section("hello\n"), {"f:3: hello: not KEY = VALUE"}},
      {"MTU = 1400\n" + interface_section(), {"f:1: MTU: stands before any section; put it under [Interface]"}},
      {interface_section("[Peers]\nPublicKey = x\n"),
       {"f:3: [Peers]: unknown section; did you mean [Peer]?; a wg-quick file has [Interface] and [Peer]"}},
      {interface_section("[Peer]\nAllowedIPs = 10.0.0.2/32\n"),
       {"f:3: [Peer]: no PublicKey; add the peer's public key (`slipgate pubkey` makes it from the private)"}},
      {interface_section("[Peer]\nPublicKey = short=\n"),
       {"f:4: PublicKey short=: 6 characters, not a key; a key is 44 characters of base64, as `slipgate genkey` "
        "prints"}},
      {interface_section(peer_section(kPeerA, "Endpoint = example.org\n")),
       {"f:5: Endpoint example.org: has no port; give HOST:PORT, like vpn.example.org:51820, 192.0.2.1:51820 or "
        "[2001:db8::1]:51820"}},
      {interface_section(peer_section(kPeerA, "Endpoint = 1.2.3.400:51820\n")),
       {"f:5: Endpoint 1.2.3.400:51820: bad host; give HOST:PORT, like vpn.example.org:51820, 192.0.2.1:51820 or "
        "[2001:db8::1]:51820"}},
      {interface_section(peer_section(kPeerA, "Endpoint = 2001:db8::1:51820\n")),
       {"f:5: Endpoint 2001:db8::1:51820: IPv6 address without brackets; give HOST:PORT, like vpn.example.org:51820, "
        "192.0.2.1:51820 or "
        "[2001:db8::1]:51820"}},
      {interface_section(peer_section(kPeerA, "PersistentKeepalive = -1\n")),
       {"f:5: PersistentKeepalive -1: not a number of seconds; give one from 0 to 65535, or off (25 keeps most NATs "
        "open)"}},
      {interface_section(peer_section(kPeerA) + peer_section(kPeerA)),
       {"f:6: PublicKey: the same as in line 4; every peer has its own key"}},
      {interface_section(peer_section(own)),
       {"f:4: PublicKey: this is the gateway's own; give the peer's (its own `wg pubkey`)"}},
  };
  for (const Row &row : rows) {
    INFO(row.text);
    CHECK(texts(read_wg_quick(row.text, "f").problems) == row.problems);
  }
}

TEST_CASE("all problems of a file are found in one reading") {
  WgQuickFile file =
      read_wg_quick("[Interface]\nPrivateKey = x\nMTU = y\nFoo = z\n\n[Peer]\nPublicKey = q\nAllowedIPs = r\n", "f");
  std::vector<int> lines;
  for (const Problem &problem : file.problems) lines.push_back(problem.line);
  CHECK(lines == std::vector<int>{2, 3, 4, 7, 8});
}

TEST_CASE("the same prefix of two peers is a problem, nested prefixes are not [wg-allowed-ips-same-prefix]") {
  std::string text = interface_section("# a\n" + peer_section(kPeerA, "AllowedIPs = 10.0.0.0/24, 10.0.0.7/24\n") +
                                       "\n" + peer_section(kPeerB, "AllowedIPs = 10.0.0.0/25, 10.0.0.9/24\n"));
  WgQuickFile file = read_wg_quick(text, "f");
  CHECK(texts(file.problems) == std::vector<std::string>{"f:10: AllowedIPs 10.0.0.9/24: already given to a in line 6; "
                                                         "one prefix has one peer, take it out of one of them"});
  CHECK(prefixes(file.peers[0]) == std::vector<std::string>{"10.0.0.0/24"});
  CHECK(prefixes(file.peers[1]) == std::vector<std::string>{"10.0.0.0/25"});
}

TEST_CASE("secrets are not repeated in messages") {
  std::string nearly = kPrivate.substr(0, 43);
  WgQuickFile file = read_wg_quick(fmt::format("[Interface]\nPrivateKey = {}\n{}", nearly,
                                               peer_section(kPeerA, fmt::format("PresharedKey = {}x\n", nearly))),
                                   "f");
  REQUIRE(file.problems.size() == 2);
  for (const Problem &problem : file.problems)
    CHECK(problem.to_string().find(nearly.substr(0, 10)) == std::string::npos);
}

TEST_CASE("of a key given twice the last counts, and a note says so") {
  WgQuickFile file = read_wg_quick(interface_section("MTU = 1300\nMTU = 1400\n"), "f");
  CHECK(file.problems.empty());
  CHECK(file.mtu == 1400);
  CHECK(texts(file.notes) == std::vector<std::string>{"f:4: MTU: given before in line 3; this one counts"});
}

TEST_CASE("peers' names come from comments") {
  struct Row {
    std::string_view above, inside, name;
  };
  const Row rows[] = {
      {"# laptop\n", "", "laptop"},
      {"### Client laptop\n", "", "laptop"},
      {"# Client: laptop\n", "", "laptop"},
      {"# BEGIN_PEER laptop\n", "", "laptop"},
      {"#laptop of Anna\n", "", "laptop of Anna"},
      {"# laptop\n\n", "", ""},                  // not directly above
      {"# PersistentKeepalive = 25\n", "", ""},  // a key commented out
      {"#[Peer]\n", "", ""},
      {"", "# Name = phone\n", "phone"},
      {"# laptop\n", "# name=phone\n", "phone"},
      {"", "# friendly_name = phone\n", "phone"},
      {"", "# some remark\n", ""},
      {"# a\x1b[31m\tb\n", "", "a[31mb"},
  };
  for (const Row &row : rows) {
    INFO(row.above << row.inside);
    WgQuickFile file = read_wg_quick(
        interface_section(fmt::format("\n{}[Peer]\n{}PublicKey = {}\n", row.above, row.inside, kPeerA)), "f");
    REQUIRE(file.peers.size() == 1);
    CHECK(file.peers[0].config.name == row.name);
  }
}

TEST_CASE("a name above a section is not the peer's before it") {
  WgQuickFile file = read_wg_quick(
      interface_section(fmt::format("# a\n[Peer]\nPublicKey = {}\n# Name = b\n[Peer]\nPublicKey = {}\n\n# Name = c\n",
                                    kPeerA, kPeerB)),
      "f");
  REQUIRE(file.peers.size() == 2);
  CHECK(file.peers[0].config.name == "a");
  CHECK(file.peers[1].config.name == "c");
}

TEST_CASE("the file goes into a gateway's options") {
  WgQuickFile file =
      read_wg_quick(interface_section("ListenPort = 7\nAddress = 10.0.0.1/24\nMTU = 1280\n" + peer_section(kPeerA)),
                    "/etc/wireguard/wg0.conf");
  GatewayOptions options;
  apply_wg_quick(file, options);
  CHECK(options.name == "wg0");
  CHECK(options.config_file == "/etc/wireguard/wg0.conf");
  CHECK(options.links[0].wireguard()->listen == *Endpoint::parse("[::]:7"));
  CHECK(options.links[0].mtu == 1280);
  REQUIRE(options.links[0].addresses.size() == 1);
  CHECK(options.links[0].addresses[0].address == IpAddress::v4(10, 0, 0, 1));
  CHECK(options.links[0].wireguard()->peers.size() == 1);
}

TEST_CASE("a file that everybody may read is noted, a missing one is a problem") {
  char folder[] = "/tmp/wg_quick_test.XXXXXX";
  REQUIRE(mkdtemp(folder));
  std::string path = fmt::format("{}/wg.conf", folder);
  REQUIRE(replace_file(path, interface_section()));
  CHECK(load_wg_quick(path).notes.empty());
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  WgQuickFile file = load_wg_quick(path);
  CHECK(file.problems.empty());
  CHECK(texts(file.notes) == std::vector<std::string>{fmt::format(
                                 "{0}: mode 0644: everybody on this machine may read the keys; chmod 600 {0}", path)});
  unlink(path.c_str());
  CHECK(texts(load_wg_quick(path).problems) ==
        std::vector<std::string>{path + ": cannot open it: No such file or directory"});
  rmdir(folder);
}
