// The two files that say how the host resolves names, hosts(5) and resolv.conf(5), read again when they change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "wire/dns.h"

namespace slipgate::dns {

// Says when a file has new content. Not by inotify: these files are replaced by rename, are links into other folders,
// and appear late; a look per `recheck`, made only when somebody asks for a name, sees all of that.
class WatchedFile {
 public:
  WatchedFile(std::string path, Duration recheck) : path_(std::move(path)), recheck_(recheck) {}

  // The content when it is not what the last call saw; an unreadable or missing file changes nothing.
  std::optional<std::string> changed(Time now);

 private:
  // More than any real one (block lists of a million names are 30 MB); the rest is not read.
  static constexpr size_t kMostBytes = 64 << 20;

  struct Version {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t seconds = 0, nanoseconds = 0;
    bool operator==(const Version &) const = default;
  };

  const std::string path_;
  const Duration recheck_;
  std::optional<Time> looked_;
  Version version_;
};

class Hosts {
 public:
  Hosts() = default;
  // "ADDRESS NAME…" lines; what is none of that is passed over.
  explicit Hosts(std::string_view text);

  // Null when the file does not name it; both families together.
  const std::vector<IpAddress> *addresses(const Name &name) const;
  // The first name of the first line with this address.
  const Name *name(const IpAddress &address) const;

 private:
  static constexpr size_t kMostAddresses = 64;  // of one name: an answer of at most 2 kB

  std::unordered_map<std::string, std::vector<IpAddress>> addresses_;  // by Name::key()
  std::unordered_map<std::string, Name> names_;                        // by the address's 16 bytes
};

struct ResolvConf {
  ResolvConf() = default;
  explicit ResolvConf(std::string_view text);

  static constexpr size_t kMostServers = 8;  // the C library takes 3
  static constexpr size_t kMostSearch = 32;

  std::vector<std::string> servers;  // as c-ares reads them: an address, perhaps with %interface or port
  std::vector<Name> search;
  int ndots = 1;

  bool operator==(const ResolvConf &) const = default;
};

}  // namespace slipgate::dns
