// Landlock (landlock(7)): from now on this process opens, makes and removes no files but those that rules permit. Not
// from linux/landlock.h: it is older than the kernel on one machine and newer on the next.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace slipgate {

// Rights, bits as the kernel numbers them; those that a kernel does not know yet it neither checks nor restricts.
enum LandlockRight : uint64_t {
  kLandlockExecute = 1 << 0,
  kLandlockWriteFile = 1 << 1,
  kLandlockReadFile = 1 << 2,
  kLandlockReadFolder = 1 << 3,
  kLandlockRemoveFile = 1 << 5,
  kLandlockMakeSocket = 1 << 9,
};

// Holds for the file, or for everything below the folder. It is bound to what `path` is now: a file that is replaced
// later is another one, so rules name folders, and devices.
struct LandlockRule {
  std::string path;
  uint64_t rights;
};

struct LandlockOptions {
  std::span<const LandlockRule> rules;  // of a path that is not there: no rule
  bool abstract_sockets = false;        // those of other processes may be connected to
};

// The version of its interface that the kernel speaks (1 and up), or why there is none.
Result<int> landlock_version();

// This thread, and what it starts. `no_new_privs` is set already. Gives the version.
Result<int> enter_landlock(const LandlockOptions &options);

}  // namespace slipgate
