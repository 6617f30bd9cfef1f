#include "control/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "io/fd.h"

namespace slipgate {
namespace {

// The same on every architecture; headers of Debian 12 have them, those of other systems may not.
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr unsigned kAskVersion = 1;                           // LANDLOCK_CREATE_RULESET_VERSION
constexpr int kPathBeneath = 1;                               // LANDLOCK_RULE_PATH_BENEATH
constexpr uint64_t kScopeAbstract = 1;                        // LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
constexpr uint64_t kScopeSignal = 2;                          // LANDLOCK_SCOPE_SIGNAL
constexpr uint64_t kOfFiles = 0b1 << 15 | 0b1 << 14 | 0b111;  // the rights that a file itself can have

struct RulesetAttributes {  // struct landlock_ruleset_attr
  uint64_t file_rights, network_rights, scopes;
};

struct [[gnu::packed]] PathBeneath {  // struct landlock_path_beneath_attr
  uint64_t rights;
  int32_t parent;
};

// All rights over files that a version knows.
uint64_t known_rights(int version) {
  if (version >= 5) return (1 << 16) - 1;  // ioctl on devices
  if (version >= 3) return (1 << 15) - 1;  // truncation
  if (version >= 2) return (1 << 14) - 1;  // links and renames between folders
  return (1 << 13) - 1;
}

Error failed(std::string_view what) {
  return Error::from_errno(errno, what);
}

}  // namespace

Result<int> landlock_version() {
  const long version = ::syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  if (version < 0) {
    if (errno == ENOSYS || errno == EOPNOTSUPP) return Error{errno, "this kernel has no Landlock"};
    return failed("Landlock");
  }
  return static_cast<int>(version);
}

Result<int> enter_landlock(const LandlockOptions &options) {
  Result<int> version = landlock_version();
  if (!version) return version;
  RulesetAttributes attributes{known_rights(*version), 0, kScopeSignal};
  if (!options.abstract_sockets) attributes.scopes |= kScopeAbstract;
  // A kernel refuses a structure that is longer than the one it knows.
  const size_t size = *version >= 6 ? sizeof(attributes) : sizeof(attributes.file_rights);
  Fd ruleset(static_cast<int>(::syscall(kCreateRuleset, &attributes, size, 0)));
  if (!ruleset) return failed("Landlock");
  for (const LandlockRule &rule : options.rules) {
    Fd parent(::open(rule.path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status {};
    if (!parent || ::fstat(parent.get(), &status) != 0) continue;
    const uint64_t possible = S_ISDIR(status.st_mode) ? attributes.file_rights : attributes.file_rights & kOfFiles;
    const PathBeneath beneath{rule.rights & possible, parent.get()};
    if (beneath.rights == 0) continue;
    if (::syscall(kAddRule, ruleset.get(), kPathBeneath, &beneath, 0) != 0) return failed("Landlock: " + rule.path);
  }
  if (::syscall(kRestrictSelf, ruleset.get(), 0) != 0) return failed("Landlock");
  return version;
}

}  // namespace slipgate
