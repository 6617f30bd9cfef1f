// slipgate wg ARGS...: the real wg(8), for gateways of a user who may not write to /var/run/wireguard, where alone wg
// looks. It runs in a user and a mount namespace of its own, in which that folder is ours.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "control/uapi_socket.h"
#include "io/fd.h"

namespace slipgate::cli {

namespace {

Result<void> write_file(const char *path, std::string_view text) {
  Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) return Error::from_errno(errno, path);
  return {};
}

Result<void> bind_mount(const std::string &from, const std::string &to) {
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0) return {};
  return Error::from_errno(errno, fmt::format("cannot put {} at {}", from, to));
}

// Nobody made the folder that wg looks in: its parent is replaced by a copy that has it.
Result<void> make_room(const std::filesystem::path &parent, const std::string &name) {
  Fd before(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!before) return Error::from_errno(errno, parent.native());
  if (::mount("tmpfs", parent.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) {
    return Error::from_errno(errno, fmt::format("cannot cover {}", parent.native()));
  }
  std::unique_ptr<DIR, int (*)(DIR *)> entries(::fdopendir(::dup(before.get())), ::closedir);
  while (const dirent *entry = entries ? ::readdir(entries.get()) : nullptr) {
    const std::string_view each = entry->d_name;
    struct stat status {};
    if (each == "." || each == ".." || ::fstatat(before.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    const std::string from = fmt::format("/proc/self/fd/{}/{}", before.get(), each), to = parent / each;
    if (S_ISLNK(status.st_mode)) {
      std::error_code error;
      std::filesystem::copy_symlink(from, to, error);
      continue;
    }
    if (S_ISDIR(status.st_mode)) {
      ::mkdir(to.c_str(), 0755);
    } else {
      Fd made(::open(to.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    }
    // What cannot be carried over, wg does without.
    if (Result<void> there = bind_mount(from, to); !there) continue;
  }
  const std::string folder = parent / name;
  if (::mkdir(folder.c_str(), 0755) != 0) return Error::from_errno(errno, folder);
  return {};
}

Result<void> enter(const std::string &folder) {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return Error::from_errno(errno, "this machine lets ordinary users make no user namespace");
  }
  const std::string users = fmt::format("{} {} 1", user, user), groups = fmt::format("{} {} 1", group, group);
  if (Result<void> done = write_file("/proc/self/setgroups", "deny"); !done) return done;
  if (Result<void> done = write_file("/proc/self/uid_map", users); !done) return done;
  if (Result<void> done = write_file("/proc/self/gid_map", groups); !done) return done;
  const std::filesystem::path fixed(kWireGuardFolder);
  if (!std::filesystem::exists(fixed)) {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::canonical(fixed.parent_path(), error);
    if (error) return Error{error.value(), fmt::format("{}: {}", fixed.parent_path().native(), error.message())};
    if (Result<void> made = make_room(parent, fixed.filename()); !made) return made;
  }
  return bind_mount(folder, fixed);
}

}  // namespace

int run_wg(Words arguments) {
  const std::string folder = uapi_folder();
  if (folder.empty()) return fail("wg: no folder for sockets; XDG_RUNTIME_DIR is not set");
  if (folder != kWireGuardFolder) {
    if (Result<void> entered = enter(folder); !entered) return fail("wg: " + entered.error().text);
    fail(fmt::format("wg sees {} as {}, in namespaces of its own", folder, kWireGuardFolder));
  }
  std::vector<char *> words{const_cast<char *>("wg")};
  for (const std::string &word : arguments) words.push_back(const_cast<char *>(word.c_str()));
  words.push_back(nullptr);
  ::execvp("wg", words.data());
  if (errno == ENOENT) return fail("wg: not installed (Debian's package: wireguard-tools)");
  return fail(fmt::format("wg: {}", std::strerror(errno)));
}

}  // namespace slipgate::cli
