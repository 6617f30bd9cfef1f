// Changes to a wg-quick file that leave every other byte of it as it was, and what a new peer needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/wg_quick.h"

namespace slipgate {

// May a peer be called so: letters, digits, . _ - and at most 32 of them (it becomes a file's name and a comment).
Result<void> check_peer_name(std::string_view name);

// The first address of each network of [Interface] that neither the gateway nor a peer's AllowedIPs has, as /32 and
// /128.
Result<std::vector<IpPrefix>> next_free_addresses(const WgQuickFile &file);

// "# NAME / [Peer] / PublicKey / AllowedIPs".
std::string peer_block(std::string_view name, const wireguard::PublicKey &key,
                       const std::vector<IpPrefix> &allowed_ips);
// The text with the block at its end, after an empty line and with the text's line ends.
std::string add_peer_block(std::string_view text, std::string_view block);
// The text without the peer of this name: its section, its name's comment and one empty line above.
Result<std::string> remove_peer_block(std::string_view text, std::string_view name);

// What a client needs to know, as a wg-quick file of its own.
struct ClientFile {
  std::string name;
  wireguard::Key private_key;
  std::vector<IpPrefix> addresses;
  std::vector<IpAddress> dns;
  uint16_t mtu = 1420;
  wireguard::PublicKey gateway_key{};
  std::string endpoint;  // HOST:PORT

  std::string to_text() const;
};

// Puts the new text in the file's place at once (temporary file, fsync, rename), with the old file's mode, 0600 for a
// new one. A symbolic link stays one; its target is replaced.
Result<void> replace_file(const std::string &path, std::string_view text);

// Held while a file is read, changed and replaced, so that two editors do not lose each other's change.
class EditLock {
 public:
  static Result<EditLock> take(const std::string &path);  // of the folder that the file is in
  EditLock(EditLock &&other) noexcept;
  EditLock &operator=(EditLock &&other) = delete;
  ~EditLock();

 private:
  explicit EditLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace slipgate
