// wg-quick files (wg-quick(8), wg(8) "CONFIGURATION FILE FORMAT"), read as they are.
//
// Reading never stops at the first problem: all of them are found, each with its line. Keys and sections are matched
// without regard to case; lists (Address, DNS, AllowedIPs) may be repeated and separated by commas; what follows a # is
// a comment. Of other keys given twice the last one counts, as for wg(8), and a note says so.
//
// A peer's name is the comment line directly above its [Peer] ("# laptop"), or "# Name = laptop" inside the section.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "config/problem.h"
#include "gateway/options.h"
#include "link/options.h"

namespace slipgate {

// An own address with the length of the network it is in: 10.0.0.1/24.
struct InterfaceAddress {
  IpAddress address;
  uint8_t length = 0;

  IpPrefix network() const { return IpPrefix(address, length); }
};

// Whom the file is for. A gateway makes no interface, so what is about routes and marks has no effect there.
enum class WgQuickUse { gateway, interface };

struct WgQuickFile {
  std::string path;
  wireguard::Key private_key;
  std::optional<uint16_t> listen_port;
  std::vector<InterfaceAddress> addresses;
  std::vector<IpAddress> dns;
  std::vector<std::string> search_domains;  // entries of DNS that are no addresses
  std::optional<uint16_t> mtu;
  std::vector<WireGuardPeerOptions> peers;
  std::string table;             // of an interface: "auto", "off", a number; empty: not said
  std::optional<uint32_t> mark;  // of an interface: FwMark; 0: off

  Problems problems;  // any: the file must not be used
  Problems notes;     // worth a word: keys without effect, permissions
};

// `path` is only for messages. Any bytes may be given.
WgQuickFile read_wg_quick(std::string_view text, const std::string &path, WgQuickUse use = WgQuickUse::gateway);
// Reads the file; that it cannot be read is a problem, that everybody may read it a note.
WgQuickFile load_wg_quick(const std::string &path, WgQuickUse use = WgQuickUse::gateway);

// Puts what the file says into a link: keys, port, peers, own addresses, MTU.
void apply_wg_quick(const WgQuickFile &file, LinkOptions &link);
// The same for a gateway of one link, which takes the file's name.
void apply_wg_quick(const WgQuickFile &file, GatewayOptions &options);

// The file's stem: "wg0" for /etc/wireguard/wg0.conf.
std::string stem_of(const std::string &path);
// A whole file, or why it cannot be read. Files longer than any configuration are refused.
Result<std::string> read_whole_file(const std::string &path);

// The key in a file, as `slipgate genkey > FILE` writes it.
Result<wireguard::Key> read_key_file(const std::string &path);

// What to say when everybody on this machine may read a file of keys; nothing when they may not.
std::optional<std::string> readable_by_all(const std::string &path);

// The name in a comment line that stands directly above [Peer]; "" when the comment is no name (a key commented out,
// …).
std::string name_in_comment(std::string_view line);

}  // namespace slipgate
