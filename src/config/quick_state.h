// What `slipgate quick` keeps between runs, in a folder of mode 0700: server.conf, the gateway's wg-quick file;
// client-NAME.conf, a file for each client; endpoint, what --endpoint said last. Keys are made once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/wg_quick.h"
#include "config/wg_quick_edit.h"

namespace slipgate {

inline constexpr uint16_t kDefaultPort = 51820;

// HOST and the port to add when none was written.
struct PublicEndpoint {
  std::string host;   // a name, or an address (IPv6 without brackets)
  uint16_t port = 0;  // 0: the gateway's own

  // "HOST", "HOST:PORT", "192.0.2.1", "[2001:db8::1]:51820" or "2001:db8::1".
  static Result<PublicEndpoint> parse(std::string_view text);
  // As a client's file writes it.
  std::string to_string(uint16_t own_port) const;
};

class QuickState {
 public:
  // $XDG_STATE_HOME/slipgate or ~/.local/state/slipgate.
  static Result<std::string> default_folder();
  // Makes the folder, or takes it from everybody else when it is there.
  static Result<QuickState> open(const std::string &folder);

  const std::string &folder() const { return folder_; }
  std::string server_path() const { return folder_ + "/server.conf"; }
  std::string client_path(std::string_view name) const;
  bool has_server() const;

  // A new gateway: keys, a random 10.x.y.0/24 and fdxx:…::/64 of which it has the first addresses.
  Result<void> make_server(uint16_t listen_port, uint16_t mtu);

  std::optional<PublicEndpoint> endpoint() const;
  Result<void> set_endpoint(std::string_view text);

  // The names of the clients whose files are here, sorted.
  std::vector<std::string> clients() const;
  // Writes this endpoint into every client's file that has another. The names of those that changed.
  Result<std::vector<std::string>> update_endpoints(const PublicEndpoint &endpoint, uint16_t own_port);

 private:
  explicit QuickState(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;
};

// Gives the next free addresses of the file's network to a new peer with new keys, and writes them down. What its
// client needs.
Result<ClientFile> add_peer(const std::string &path, std::string_view name, const PublicEndpoint &endpoint,
                            uint16_t own_port);
Result<void> remove_peer(const std::string &path, std::string_view name);

}  // namespace slipgate
