#include "control/uapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <iterator>
#include <vector>

#include "crypto/key_text.h"

namespace slipgate {
namespace {

template <typename T>
std::optional<T> number(std::string_view text, T most) {
  T value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

int errno_of(const Result<void> &result) {
  if (result) return 0;
  return result.error().code ? result.error().code : EIO;
}

bool is_true(std::string_view value) {
  return value == "true";
}

}  // namespace

// A key of the specification, and in which part of a request it may stand.
struct UapiSession::Key {
  std::string_view name;
  bool of_peer;
  int (UapiSession::*set)(std::string_view value);
};

const UapiSession::Key UapiSession::kKeys[] = {
    {"private_key", false, &UapiSession::set_private_key},
    {"listen_port", false, &UapiSession::set_listen_port},
    {"fwmark", false, &UapiSession::set_fwmark},
    {"replace_peers", false, &UapiSession::replace_peers},
    {"remove", true, &UapiSession::remove},
    {"update_only", true, &UapiSession::update_only},
    {"preshared_key", true, &UapiSession::set_preshared_key},
    {"endpoint", true, &UapiSession::set_endpoint},
    {"persistent_keepalive_interval", true, &UapiSession::set_keepalive},
    {"replace_allowed_ips", true, &UapiSession::replace_allowed_ips},
    {"allowed_ip", true, &UapiSession::add_allowed_ip},
    {"protocol_version", true, &UapiSession::set_protocol_version},
};

UapiSession::~UapiSession() = default;

size_t UapiSession::take(std::string_view input, std::string &answer, size_t most_changes) {
  size_t taken = 0;
  const size_t answered = answer.size();
  changes_ = 0;
  while (!broken_ && changes_ < most_changes && answer.size() == answered) {
    const std::string_view rest = input.substr(taken);
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      broken_ = rest.size() > kLongestLine;
      break;
    }
    broken_ = end > kLongestLine;  // lesson: uapi-line-bounded
    if (broken_) break;
    take_line(rest.substr(0, end), answer);
    taken += end + 1;
  }
  // Before the answer leaves; and no more is changed than whoever applies it keeps up with.
  if (changes_ > 0) control_.settle();
  return taken;
}

void UapiSession::take_line(std::string_view line, std::string &answer) {
  switch (state_) {
    case State::idle:
      error_ = 0;
      if (line == "get=1") {
        state_ = State::getting;
      } else if (line == "set=1") {
        state_ = State::setting;
      } else if (!line.empty()) {
        broken_ = true;
      }
      return;
    case State::getting:
      if (!line.empty()) {
        error_ = EINVAL;
        return;
      }
      if (!error_) describe(answer);
      return finish_request(answer, error_);
    case State::setting:
      if (!line.empty()) {
        if (!error_) error_ = set(line);
        return;
      }
      if (!error_) error_ = finish_peer();
      return finish_request(answer, -error_);  // wg(8) takes a set's errno negated, as wireguard-go answers it
  }
}

void UapiSession::finish_request(std::string &answer, int error) {
  answer += fmt::format("errno={}\n\n", error);
  peer_.reset();
  state_ = State::idle;
}

int UapiSession::set(std::string_view line) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return EPROTO;
  const std::string_view name = line.substr(0, equals), value = line.substr(equals + 1);
  if (name == "public_key") return begin_peer(value);
  for (const Key &key : kKeys) {
    if (key.name != name) continue;
    // What concerns the interface stands before the first peer.
    if (key.of_peer != peer_.has_value()) return EPROTO;
    if (peer_ && peer_->ignored) return 0;
    return (this->*key.set)(value);
  }
  return EINVAL;
}

// --- the interface ---

int UapiSession::set_private_key(std::string_view value) {
  std::optional<Secret<32>> key = key_from_hex(value);
  if (!key) return EINVAL;
  return errno_of(control_.change(&*key, std::nullopt, std::nullopt));
}

int UapiSession::set_listen_port(std::string_view value) {
  std::optional<uint16_t> port = number<uint16_t>(value, UINT16_MAX);
  if (!port) return EINVAL;
  return errno_of(control_.change(nullptr, *port, std::nullopt));
}

int UapiSession::set_fwmark(std::string_view value) {
  std::optional<uint32_t> mark = value.empty() ? 0 : number<uint32_t>(value, UINT32_MAX);
  if (!mark) return EINVAL;
  return errno_of(control_.change(nullptr, std::nullopt, *mark));
}

int UapiSession::replace_peers(std::string_view value) {
  if (!is_true(value)) return EINVAL;
  for (const wireguard::PeerStatus &peer : control_.peers()) control_.remove_peer(peer.config.public_key);
  return 0;
}

// --- peers ---

int UapiSession::begin_peer(std::string_view value) {
  if (int error = finish_peer()) return error;
  std::optional<Secret<32>> key = key_from_hex(value);
  if (!key) return EINVAL;
  peer_.emplace();
  if (std::optional<wireguard::PeerConfig> standing = control_.peer(public_bytes(*key))) {
    peer_->config = std::move(*standing);
    peer_->exists = true;
    // Where it was last heard of is better than what was configured once: only a new endpoint counts.
    peer_->config.endpoint.reset();  // lesson: uapi-endpoint-stays
  }
  peer_->config.public_key = public_bytes(*key);
  return 0;
}

int UapiSession::finish_peer() {
  if (!peer_ || peer_->ignored) {
    peer_.reset();
    return 0;
  }
  if (!peer_->exists && control_.peer_count() >= kMostPeers) return ENOSPC;
  control_.set_peer(peer_->config);
  changes_++;
  peer_.reset();
  return 0;
}

int UapiSession::remove(std::string_view value) {
  if (!is_true(value)) return EINVAL;
  control_.remove_peer(peer_->config.public_key);
  peer_->ignored = true;
  changes_++;
  return 0;
}

int UapiSession::update_only(std::string_view value) {
  if (!is_true(value)) return EINVAL;
  if (!peer_->exists) peer_->ignored = true;  // lesson: uapi-update-only
  return 0;
}

int UapiSession::set_preshared_key(std::string_view value) {
  std::optional<Secret<32>> key = key_from_hex(value);
  if (!key) return EINVAL;
  peer_->config.preshared_key = *key;
  return 0;
}

int UapiSession::set_endpoint(std::string_view value) {
  std::optional<Endpoint> endpoint = Endpoint::parse(value);
  if (!endpoint) return EINVAL;
  peer_->config.endpoint = *endpoint;
  return 0;
}

int UapiSession::set_keepalive(std::string_view value) {
  std::optional<uint16_t> interval = number<uint16_t>(value, UINT16_MAX);
  if (!interval) return EINVAL;
  peer_->config.persistent_keepalive = *interval;
  return 0;
}

int UapiSession::replace_allowed_ips(std::string_view value) {
  if (!is_true(value)) return EINVAL;
  peer_->config.allowed_ips.clear();
  return 0;
}

int UapiSession::add_allowed_ip(std::string_view value) {
  const bool away = value.starts_with('-');  // newer than the specification: takes one away
  std::optional<IpPrefix> prefix = IpPrefix::parse(value.substr(away ? 1 : 0));
  if (!prefix) return EINVAL;
  std::vector<IpPrefix> &list = peer_->config.allowed_ips;
  if (away) {
    std::erase(list, *prefix);
    return 0;
  }
  if (list.size() >= kMostAllowedIps) return ENOSPC;
  list.push_back(*prefix);
  return 0;
}

int UapiSession::set_protocol_version(std::string_view value) {
  return value == "1" ? 0 : EINVAL;
}

// --- what there is ---

void UapiSession::describe(std::string &answer) const {
  using std::chrono::duration_cast;
  auto to = std::back_inserter(answer);
  const WireGuardSettings settings = control_.settings();
  if (!settings.private_key.is_zero()) fmt::format_to(to, "private_key={}\n", to_hex(settings.private_key.bytes()));
  fmt::format_to(to, "listen_port={}\n", settings.listen_port);
  if (settings.mark) fmt::format_to(to, "fwmark={}\n", settings.mark);
  // Handshakes are remembered by a clock that does not jump; people look at the one on the wall.
  const Duration wall = std::chrono::system_clock::now().time_since_epoch() - BootClock::now().time_since_epoch();
  for (const wireguard::PeerStatus &peer : control_.peers()) {
    const wireguard::PeerConfig &config = peer.config;
    fmt::format_to(to, "public_key={}\npreshared_key={}\nprotocol_version=1\n", to_hex(config.public_key),
                   to_hex(config.preshared_key.bytes()));
    if (peer.path) fmt::format_to(to, "endpoint={}\n", peer.path->remote.to_string());
    Duration handshake{};
    if (peer.last_handshake) handshake = peer.last_handshake->time_since_epoch() + wall;
    const seconds whole = duration_cast<seconds>(handshake);
    fmt::format_to(to, "last_handshake_time_sec={}\nlast_handshake_time_nsec={}\n", whole.count(),
                   duration_cast<nanoseconds>(handshake - whole).count());
    fmt::format_to(to, "tx_bytes={}\nrx_bytes={}\npersistent_keepalive_interval={}\n", peer.sent_bytes,
                   peer.received_bytes, config.persistent_keepalive);
    for (const IpPrefix &prefix : config.allowed_ips) fmt::format_to(to, "allowed_ip={}\n", prefix.to_string());
  }
}

}  // namespace slipgate
