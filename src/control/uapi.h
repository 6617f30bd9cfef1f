// WireGuard's userspace API (wireguard.com/xplatform, "Configuration Protocol"), as text: what wg(8) says to an
// interface that no kernel serves, and what it hears.
//
// A request is "get=1" or "set=1", then lines KEY=VALUE, then an empty line; the answer ends with "errno=N" and an
// empty line. Lines of a set take effect peer by peer as they come, so that a request of any length needs no memory and
// does not hold up packets: the caller says how many changes it wants made at a time. After a line that is wrong the
// rest of its request has no effect.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "link/wireguard_control.h"

namespace slipgate {

// What the lines of one peer come to.
struct UapiPeerChange {
  wireguard::PeerConfig config;
  bool exists = false;
  bool ignored = false;  // removed, or not there and not to be made
};

// One connection's conversation. Lives on one shard.
class UapiSession {
 public:
  static constexpr size_t kLongestLine = 256;  // the longest that means something has 83 bytes
  // As wireguard-go; a bound against mistakes, those who may ask are trusted.
  static constexpr size_t kMostPeers = 65536;
  static constexpr size_t kMostAllowedIps = 65536;  // of one peer

  explicit UapiSession(WireGuardControl &control) : control_(control) {}
  ~UapiSession();
  UapiSession(const UapiSession &) = delete;
  UapiSession &operator=(const UapiSession &) = delete;

  // Takes whole lines from the front of `input`, until about `most_changes` peers were changed, a request was answered
  // or no whole line is left; says how many bytes it took. What is to be sent is put behind `answer`.
  size_t take(std::string_view input, std::string &answer, size_t most_changes);
  // The other side does not speak the protocol: nothing more is taken.
  bool broken() const { return broken_; }

 private:
  enum class State { idle, getting, setting };
  struct Key;
  static const Key kKeys[];

  void take_line(std::string_view line, std::string &answer);
  int set(std::string_view line);  // an errno
  int begin_peer(std::string_view value);
  int finish_peer();
  void finish_request(std::string &answer, int error);
  void describe(std::string &answer) const;

  // One for each key.
  int set_private_key(std::string_view value);
  int set_listen_port(std::string_view value);
  int set_fwmark(std::string_view value);
  int replace_peers(std::string_view value);
  int remove(std::string_view value);
  int update_only(std::string_view value);
  int set_preshared_key(std::string_view value);
  int set_endpoint(std::string_view value);
  int set_keepalive(std::string_view value);
  int replace_allowed_ips(std::string_view value);
  int add_allowed_ip(std::string_view value);
  int set_protocol_version(std::string_view value);

  WireGuardControl &control_;
  State state_ = State::idle;
  int error_ = 0;  // of the request under way
  bool broken_ = false;
  size_t changes_ = 0;                  // in this call of take()
  std::optional<UapiPeerChange> peer_;  // the peer whose lines are being read
};

}  // namespace slipgate
