#include "config/quick_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "config/values.h"
#include "crypto/key_text.h"
#include "crypto/random.h"
#include "crypto/x25519.h"

namespace slipgate {

namespace {

constexpr std::string_view kClientPrefix = "client-";
constexpr std::string_view kClientSuffix = ".conf";

// All problems of a file as one error.
Error problems_of(const WgQuickFile &file) {
  std::vector<std::string> lines;
  for (const Problem &problem : file.problems) lines.push_back(problem.to_string());
  return Error{0, fmt::format("{}", fmt::join(lines, "\n"))};
}

void wipe_text(std::string &text) {
  wipe({reinterpret_cast<uint8_t *>(text.data()), text.size()});
}

}  // namespace

Result<PublicEndpoint> PublicEndpoint::parse(std::string_view text) {
  Error wrong{0, "not HOST or HOST:PORT; give one like home.example.org, 192.0.2.1:51820 or [2001:db8::1]:51820"};
  if (std::optional<IpAddress> address = IpAddress::parse(text)) return PublicEndpoint{address->to_string(), 0};
  if (text.starts_with('[') && text.ends_with(']')) {
    std::optional<IpAddress> address = IpAddress::parse(text.substr(1, text.size() - 2));
    return address ? Result<PublicEndpoint>(PublicEndpoint{address->to_string(), 0}) : wrong;
  }
  // The port, when there is one, is checked by the rules of a peer's endpoint; without one any stands in for it.
  bool has_port = text.find(':') != std::string_view::npos;
  WireGuardPeerOptions peer;
  if (!parse_peer_endpoint(has_port ? std::string(text) : fmt::format("{}:1", text), peer)) return wrong;
  PublicEndpoint endpoint;
  endpoint.host = peer.config.endpoint ? peer.config.endpoint->address.to_string() : peer.endpoint_name;
  if (has_port) endpoint.port = peer.config.endpoint ? peer.config.endpoint->port : peer.endpoint_port;
  return endpoint;
}

std::string PublicEndpoint::to_string(uint16_t own_port) const {
  bool brackets = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", host, brackets ? "]" : "", port == 0 ? own_port : port);
}

Result<std::string> QuickState::default_folder() {
  if (const char *state = getenv("XDG_STATE_HOME"); state && *state == '/') return fmt::format("{}/slipgate", state);
  if (const char *home = getenv("HOME"); home && *home == '/') return fmt::format("{}/.local/state/slipgate", home);
  return Error{0, "no state directory: neither XDG_STATE_HOME nor HOME is set; give --state DIR"};
}

Result<QuickState> QuickState::open(const std::string &folder) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(folder, error);
  std::filesystem::create_directories(path.parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return Error::from_errno(errno, fmt::format("state directory {}", folder));
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return Error::from_errno(errno, fmt::format("state directory {}", folder));
  if (!S_ISDIR(status.st_mode)) return Error::from_errno(ENOTDIR, fmt::format("state directory {}", folder));
  if ((status.st_mode & 0077) != 0 && chmod(path.c_str(), 0700) != 0) {
    return Error::from_errno(errno,
                             fmt::format("state directory {}: others may enter it, and it cannot be closed", folder));
  }
  std::string name = path.string();
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  return QuickState(name);
}

std::string QuickState::client_path(std::string_view name) const {
  return fmt::format("{}/{}{}{}", folder_, kClientPrefix, name, kClientSuffix);
}

bool QuickState::has_server() const {
  return access(server_path().c_str(), F_OK) == 0;
}

Result<void> QuickState::make_server(uint16_t listen_port, uint16_t mtu) {
  // Two bytes of 10/8 and RFC 4193's 40 random bits: two networks made so rarely meet.
  std::array<uint8_t, 7> chosen;
  fill_random(chosen);
  std::string ipv4 = fmt::format("10.{}.{}.1/24", chosen[0], chosen[1]);
  std::array<uint8_t, 16> ipv6{0xfd};
  std::copy_n(chosen.begin() + 2, 5, ipv6.begin() + 1);
  ipv6[15] = 1;
  Secret<32> key = generate_private_key();
  std::string text = fmt::format(
      "# The gateway's side, made by `slipgate quick`. Add peers with `slipgate peer add NAME`, or by hand.\n"
      "[Interface]\nPrivateKey = {}\nAddress = {}, {}/64\nListenPort = {}\nMTU = {}\n",
      to_base64(key.bytes()), ipv4, IpAddress::from_v6(ipv6).to_string(), listen_port, mtu);
  Result<void> written = replace_file(server_path(), text);
  wipe_text(text);
  return written;
}

std::optional<PublicEndpoint> QuickState::endpoint() const {
  Result<std::string> text = read_whole_file(folder_ + "/endpoint");
  if (!text) return std::nullopt;
  Result<PublicEndpoint> endpoint = PublicEndpoint::parse(trim(std::string_view(*text).substr(0, text->find('\n'))));
  return endpoint ? std::optional(*endpoint) : std::nullopt;
}

Result<void> QuickState::set_endpoint(std::string_view text) {
  return replace_file(folder_ + "/endpoint", fmt::format("{}\n", text));
}

std::vector<std::string> QuickState::clients() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto &entry : std::filesystem::directory_iterator(folder_, error)) {
    std::string name = entry.path().filename();
    if (!name.starts_with(kClientPrefix) || !name.ends_with(kClientSuffix)) continue;
    names.push_back(name.substr(kClientPrefix.size(), name.size() - kClientPrefix.size() - kClientSuffix.size()));
  }
  std::ranges::sort(names);
  return names;
}

Result<std::vector<std::string>> QuickState::update_endpoints(const PublicEndpoint &endpoint, uint16_t own_port) {
  std::vector<std::string> changed;
  std::string wanted = fmt::format("Endpoint = {}", endpoint.to_string(own_port));
  for (const std::string &name : clients()) {
    Result<std::string> text = read_whole_file(client_path(name));
    if (!text) return Error{text.error().code, fmt::format("{}: {}", client_path(name), text.error().text)};
    size_t begin = text->find("\nEndpoint = ");
    if (begin == std::string::npos) continue;  // not as we wrote it: left alone
    begin++;
    size_t end = std::min(text->find('\n', begin), text->size());
    bool other = std::string_view(*text).substr(begin, end - begin) != wanted;
    if (other) text->replace(begin, end - begin, wanted);
    Result<void> written = other ? replace_file(client_path(name), *text) : Result<void>();
    wipe_text(*text);
    if (!written) return written.error();
    if (other) changed.push_back(name);
  }
  return changed;
}

Result<ClientFile> add_peer(const std::string &path, std::string_view name, const PublicEndpoint &endpoint,
                            uint16_t own_port) {
  Result<void> good_name = check_peer_name(name);
  if (!good_name) return good_name.error();
  Result<EditLock> lock = EditLock::take(path);
  if (!lock) return lock.error();
  Result<std::string> text = read_whole_file(path);
  if (!text) return Error{text.error().code, fmt::format("{}: {}", path, text.error().text)};
  WgQuickFile file = read_wg_quick(*text, path);
  if (!file.problems.empty()) return problems_of(file);
  for (const WireGuardPeerOptions &peer : file.peers) {
    if (peer.config.name == name) {
      return Error{0, fmt::format("{}: {} has a peer of this name; choose another, or `slipgate peer remove {}` first",
                                  name, path, name)};
    }
  }
  Result<std::vector<IpPrefix>> addresses = next_free_addresses(file);
  if (!addresses) return addresses.error();

  ClientFile client;
  client.name = name;
  client.private_key = generate_private_key();
  client.addresses = *addresses;
  for (const InterfaceAddress &own : file.addresses) client.dns.push_back(own.address);
  if (file.mtu) client.mtu = *file.mtu;
  client.gateway_key = public_key_of(file.private_key);
  client.endpoint = endpoint.to_string(file.listen_port.value_or(0) == 0 ? own_port : *file.listen_port);

  std::string block = peer_block(name, public_key_of(client.private_key), *addresses);
  std::string changed = add_peer_block(*text, block);
  Result<void> written = replace_file(path, changed);
  wipe_text(*text);
  wipe_text(changed);
  if (!written) return written.error();
  return client;
}

Result<void> remove_peer(const std::string &path, std::string_view name) {
  Result<EditLock> lock = EditLock::take(path);
  if (!lock) return lock.error();
  Result<std::string> text = read_whole_file(path);
  if (!text) return Error{text.error().code, fmt::format("{}: {}", path, text.error().text)};
  Result<std::string> changed = remove_peer_block(*text, name);
  wipe_text(*text);
  if (!changed) return Error{0, fmt::format("{}: {}", path, changed.error().text)};
  Result<void> written = replace_file(path, *changed);
  wipe_text(*changed);
  return written;
}

}  // namespace slipgate
