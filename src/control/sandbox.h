// What a serving process gives up once it has what it needs: new privileges, other system calls than those of a list
// (system_calls.h), files (landlock.h), core dumps. Files that are read again while it serves come from the opener
// (opener.h).
//
// One for the process, entered before its first thread: a thread that already runs would stay outside.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dns/options.h"
#include "gateway/status.h"
#include "io/loop.h"

namespace slipgate {

// Kinds of sockets beside the usual ones. `abstract`: Unix sockets of other processes that have no file.
struct SandboxSockets {
  bool vsock = false, tipc = false, abstract = false;
  bool operator==(const SandboxSockets &) const = default;
};

// What is still needed inside; whoever adds something that opens files or sockets later adds it here.
struct SandboxPlan {
  bool on = true;
  std::vector<std::string> files;           // that are read again, under the very names read_file() is given
  std::vector<std::string> socket_folders;  // where the files of sockets are made and removed
  SandboxSockets sockets;
};

class Sandbox {
 public:
  // Says in one line of the log what holds, and what does not and why: a kernel without Landlock is no error. An error:
  // the opener could not be started.
  static Result<std::unique_ptr<Sandbox>> enter(const SandboxPlan &plan);
  ~Sandbox();
  Sandbox(const Sandbox &) = delete;
  Sandbox &operator=(const Sandbox &) = delete;

  // Refused calls are named in the log from now on, until `loop` ends or this does: each call the first time, and when
  // their number has doubled.
  void watch(Loop &loop);
  SandboxStatus status() const;
  const SandboxPlan &plan() const;

 private:
  struct Inside;
  explicit Sandbox(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

// The files that names are looked up with.
std::vector<std::string> name_files(const dns::Options &resolving);

// The folder of a socket's file; made (mode 0700) when it is not there.
std::string socket_folder(const std::string &path);

}  // namespace slipgate
