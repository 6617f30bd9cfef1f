#include "config/wg_quick_edit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>

#include "config/values.h"
#include "crypto/key_text.h"

namespace slipgate {

namespace {

constexpr size_t kLongestPeerName = 32;

IpAddress plus_one(const IpAddress &address) {
  std::array<uint8_t, 16> bytes;
  std::ranges::copy(address.v6_bytes(), bytes.begin());
  for (size_t i = bytes.size(); i-- > 0 && ++bytes[i] == 0;) {
  }
  return IpAddress::from_v6(bytes);
}

// The last address of an IPv4 network is its broadcast address.
bool is_last(const IpAddress &address, const IpPrefix &network) {
  return address.is_v4() && !network.contains(plus_one(address));
}

std::string join(const std::vector<std::string> &parts) {
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string_view folder_of(std::string_view path) {
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The lines of a text, each with its line end.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

std::string_view content(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  return trim(line);
}

bool is_comment(std::string_view line) {
  return content(line).starts_with('#');
}
bool is_header(std::string_view line) {
  return content(line).starts_with('[');
}
bool is_key(std::string_view line) {
  return !content(line).empty() && !is_comment(line) && !is_header(line);
}

// Where one [Peer] stands among the lines: [begin, end) is what belongs to it alone.
struct Block {
  size_t begin = 0, end = 0;
  std::string name;
};

std::vector<Block> peer_blocks(const std::vector<std::string_view> &lines) {
  std::vector<Block> blocks;
  for (size_t header = 0; header < lines.size(); header++) {
    if (!is_header(lines[header]) ||
        !same_word(content(lines[header]).substr(0, content(lines[header]).find(']') + 1), "[Peer]"))
      continue;
    Block block{header, header + 1, ""};
    if (header > 0 && is_comment(lines[header - 1])) {
      block.name = name_in_comment(lines[header - 1]);
      if (!block.name.empty()) block.begin--;
    }
    size_t next = header + 1;
    while (next < lines.size() && !is_header(lines[next])) next++;
    // Comments directly above the next section are that one's.
    size_t own_end = next;
    while (next < lines.size() && own_end > header + 1 && is_comment(lines[own_end - 1])) own_end--;
    for (size_t i = header + 1; i < own_end; i++) {
      bool names =
          is_comment(lines[i]) && lines[i].find('=') != std::string_view::npos && !name_in_comment(lines[i]).empty();
      if (names) block.name = name_in_comment(lines[i]);
      if (names || is_key(lines[i])) block.end = i + 1;
    }
    // And those that follow the last key at once are this peer's.
    while (block.end < own_end && is_comment(lines[block.end])) block.end++;
    if (block.begin > 0 && content(lines[block.begin - 1]).empty()) block.begin--;
    blocks.push_back(block);
  }
  return blocks;
}

}  // namespace

Result<void> check_peer_name(std::string_view name) {
  bool good = !name.empty() && name.size() <= kLongestPeerName && name.front() != '.' && name.front() != '-' &&
              std::ranges::all_of(name, [](unsigned char c) {
                return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
              });
  if (good) return {};
  return Error{0, fmt::format("{}: not a peer's name; give up to {} letters, digits, dots, dashes and underscores",
                              name, kLongestPeerName)};
}

Result<std::vector<IpPrefix>> next_free_addresses(const WgQuickFile &file) {
  std::set<IpAddress> taken;
  std::vector<IpPrefix> wide;  // AllowedIPs of whole networks: what lies inside is their peer's
  for (const InterfaceAddress &own : file.addresses) taken.insert(own.address);
  for (const WireGuardPeerOptions &peer : file.peers) {
    for (const IpPrefix &prefix : peer.config.allowed_ips) {
      if (prefix.length == prefix.address.family_bits()) {
        taken.insert(prefix.address);
      } else if (prefix.length != 0) {
        wide.push_back(prefix);
      }
    }
  }
  std::vector<IpPrefix> found;
  std::set<IpPrefix> networks;
  for (const InterfaceAddress &own : file.addresses) {
    IpPrefix network = own.network();
    if (network.length == own.address.family_bits() || !networks.insert(network).second) continue;
    // A prefix as wide as the network itself (a routed site) does not use up its addresses one by one.
    auto inside_wide = [&](const IpAddress &address) {
      return std::ranges::any_of(
          wide, [&](const IpPrefix &prefix) { return prefix.length > network.length && prefix.contains(address); });
    };
    IpAddress candidate = plus_one(network.address);
    // At most so many can be taken one by one; wide ones are stepped over up to a bound.
    constexpr size_t kMostTries = 1 << 20;
    size_t tries = 0;
    while (network.contains(candidate) && tries++ < kMostTries &&
           (taken.contains(candidate) || inside_wide(candidate))) {
      candidate = plus_one(candidate);
    }
    if (!network.contains(candidate) || is_last(candidate, network) || tries > kMostTries) {
      return Error{0, fmt::format("{}: Address {}/{}: no address of this network is free; give [Interface] a wider one",
                                  file.path, own.address.to_string(), own.length)};
    }
    found.emplace_back(candidate, candidate.family_bits());
  }
  if (found.empty()) {
    return Error{
        0,
        fmt::format("{}: [Interface] has no Address with a network to take addresses from; add one like 10.86.0.1/24",
                    file.path)};
  }
  return found;
}

std::string peer_block(std::string_view name, const wireguard::PublicKey &key,
                       const std::vector<IpPrefix> &allowed_ips) {
  std::vector<std::string> prefixes;
  for (const IpPrefix &prefix : allowed_ips) prefixes.push_back(prefix.to_string());
  return fmt::format("# {}\n[Peer]\nPublicKey = {}\nAllowedIPs = {}\n", name, to_base64(key), join(prefixes));
}

std::string add_peer_block(std::string_view text, std::string_view block) {
  size_t first_end = text.find('\n');
  bool crlf = first_end != std::string_view::npos && first_end > 0 && text[first_end - 1] == '\r';
  std::string result(text);
  std::string_view line_end = crlf ? "\r\n" : "\n";
  if (!result.empty() && result.back() != '\n') result += line_end;
  if (!result.empty()) result += line_end;
  for (std::string_view line : lines_of(block)) {
    result += line.substr(0, line.find('\n'));
    result += line_end;
  }
  return result;
}

Result<std::string> remove_peer_block(std::string_view text, std::string_view name) {
  std::vector<std::string_view> lines = lines_of(text);
  std::vector<Block> blocks = peer_blocks(lines);
  std::erase_if(blocks, [&](const Block &block) { return block.name != name; });
  if (blocks.empty()) return Error{0, fmt::format("{}: no peer of this name; `slipgate peer list` shows them", name)};
  if (blocks.size() > 1) {
    return Error{0, fmt::format("{}: {} peers have this name; give each its own in the comment above its [Peer]", name,
                                blocks.size())};
  }
  std::string result;
  for (size_t i = 0; i < lines.size(); i++) {
    if (i < blocks[0].begin || i >= blocks[0].end) result += lines[i];
  }
  return result;
}

std::string ClientFile::to_text() const {
  std::vector<std::string> own, resolvers;
  for (const IpPrefix &address : addresses) own.push_back(address.to_string());
  for (const IpAddress &address : dns) resolvers.push_back(address.to_string());
  std::string text = fmt::format("# {}\n[Interface]\nPrivateKey = {}\nAddress = {}\n", name,
                                 to_base64(private_key.bytes()), join(own));
  if (!resolvers.empty()) text += fmt::format("DNS = {}\n", join(resolvers));
  text += fmt::format(
      "MTU = {}\n\n[Peer]\nPublicKey = {}\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = {}\nPersistentKeepalive = 25\n",
      mtu, to_base64(gateway_key), endpoint);
  return text;
}

Result<void> replace_file(const std::string &path, std::string_view text) {
  std::string target = path;
  if (char *real = realpath(path.c_str(), nullptr)) {
    target = real;
    free(real);
  }
  mode_t mode = 0600;
  struct stat old {};
  bool existed = stat(target.c_str(), &old) == 0;
  if (existed) mode = old.st_mode & 07777;
  std::string temporary = fmt::format("{}/.{}.XXXXXX", folder_of(target), target.substr(target.rfind('/') + 1));
  int descriptor = mkostemp(temporary.data(), O_CLOEXEC);  // made with mode 0600
  if (descriptor < 0) return Error::from_errno(errno, fmt::format("{}: cannot write in its folder", path));
  auto fail = [&](std::string_view what) {
    Error error = Error::from_errno(errno, fmt::format("{}: {}", path, what));
    close(descriptor);
    unlink(temporary.c_str());
    return error;
  };
  for (std::string_view rest = text; !rest.empty();) {
    ssize_t count = write(descriptor, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail("cannot write it");
    rest.remove_prefix(static_cast<size_t>(count));
  }
  // The owner first: chown() clears set-user bits. A file of another owner stays readable to them only where we may
  // give it.
  if (existed && (old.st_uid != geteuid() || old.st_gid != getegid()) &&
      fchown(descriptor, old.st_uid, old.st_gid) != 0 && errno != EPERM) {
    return fail("cannot keep its owner");
  }
  if (fchmod(descriptor, mode) != 0) return fail("cannot keep its mode");
  if (fsync(descriptor) != 0) return fail("cannot write it to the disk");
  if (rename(temporary.c_str(), target.c_str()) != 0) return fail("cannot replace it");
  close(descriptor);
  int folder = open(std::string(folder_of(target)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);  // the rename itself; a file system that cannot has nothing better to offer
    close(folder);
  }
  return {};
}

Result<EditLock> EditLock::take(const std::string &path) {
  int folder = open(std::string(folder_of(path)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return Error::from_errno(errno, fmt::format("{}: cannot open its folder", path));
  while (flock(folder, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    Error error = Error::from_errno(errno, fmt::format("{}: cannot lock its folder", path));
    close(folder);
    return error;
  }
  return EditLock(folder);
}

EditLock::EditLock(EditLock &&other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

EditLock::~EditLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace slipgate
