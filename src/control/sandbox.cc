#include "control/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>

#include "base/log.h"
#include "base/read_file.h"
#include "control/landlock.h"
#include "control/opener.h"
#include "control/system_calls.h"
#include "crypto/tls.h"

namespace slipgate {
namespace {

// Sanitizers, and gcov at the end, do what no list of ours foresees.
#ifdef SLIPGATE_INSTRUMENTED
constexpr bool kInstrumented = true;
#else
constexpr bool kInstrumented = false;
#endif

struct RefusedCall {
  uint32_t architecture;
  int number;
  auto operator<=>(const RefusedCall &) const = default;
};

// Where the signal handler tells what was refused: a pipe that never blocks.
int refused_calls = -1;

void on_refused_call(int, siginfo_t *about, void *context) {
  const int error = errno;
  const RefusedCall call{about->si_arch, about->si_syscall};
  [[maybe_unused]] const ssize_t told = ::write(refused_calls, &call, sizeof(call));  // full: enough was told
  let_refused_call_fail(context);
  errno = error;
}

Result<Fd> tell_refused_calls() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Error::from_errno(errno, "pipe");
  refused_calls = ends[1];
  struct sigaction action {};
  action.sa_sigaction = on_refused_call;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigaction(SIGSYS, &action, nullptr);
  return Fd(ends[0]);
}

std::vector<LandlockRule> rules_of(const SandboxPlan &plan) {
  // c-ares opens both: the one instead of a resolv.conf, the other for the ids of its queries, which it would have from
  // rand() else. Devices are not replaced.
  std::vector<LandlockRule> rules = {{"/dev/null", kLandlockReadFile | kLandlockWriteFile},
                                     {"/dev/urandom", kLandlockReadFile}};  // lesson: sandbox-devices
  for (const std::string &folder : plan.socket_folders) {
    rules.push_back({folder, kLandlockMakeSocket | kLandlockRemoveFile | kLandlockReadFolder});
  }
  return rules;
}

void no_core_dumps() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace

struct Sandbox::Inside final : Pollable {
  ~Inside() {
    if (loop) loop->poller().remove(refused.get(), *this);
    tell();
    let_files_be_opened_by({});
  }

  void on_events(uint32_t) override { tell(); }
  void tell();

  SandboxPlan plan;
  SandboxStatus status;
  std::unique_ptr<Opener> opener;
  Loop *loop = nullptr;
  Fd refused;                               // the pipe's end to read from
  std::map<RefusedCall, uint64_t> counted;  // no more of them than there are calls
};

void Sandbox::Inside::tell() {
  RefusedCall call{};
  while (refused && ::read(refused.get(), &call, sizeof(call)) == sizeof(call)) {
    status.refused_calls++;
    const uint64_t count = ++counted[call];
    if (!std::has_single_bit(count)) continue;
    log::warn("sandbox: the system call {} was refused{}; it is no part of what slipgate does (--sandbox off lets it)",
              name_of_call(call.architecture, call.number), count == 1 ? "" : fmt::format(", {} times by now", count));
  }
}

Result<std::unique_ptr<Sandbox>> Sandbox::enter(const SandboxPlan &plan) {
  auto inside = std::make_unique<Inside>();
  inside->plan = plan;
  SandboxStatus &status = inside->status;
  if (!plan.on) {
    status = {.state = SandboxState::off, .reason = "--sandbox off"};
    return std::unique_ptr<Sandbox>(new Sandbox(std::move(inside)));
  }
  Result<std::unique_ptr<Opener>> opener = Opener::start(plan.files, !kInstrumented);
  if (!opener) return Error{opener.error().code, "sandbox: " + opener.error().text};
  inside->opener = std::move(*opener);
  let_files_be_opened_by([&opener = *inside->opener](const std::string &path) { return opener.open(path); });
  if (kInstrumented) {
    status = {.state = SandboxState::off, .reason = "a build that is instrumented (sanitizers, coverage)"};
    log::info("sandbox: off: {}", status.reason);
    return std::unique_ptr<Sandbox>(new Sandbox(std::move(inside)));
  }

  ::tzset();  // reads its file once, for the log's times
  no_core_dumps();
  std::vector<std::string> missing;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) missing.push_back("no_new_privs is not there");
  const char *manager = ::getenv("NOTIFY_SOCKET");
  const std::vector<LandlockRule> rules = rules_of(plan);
  Result<int> landlock =
      enter_landlock({.rules = rules, .abstract_sockets = plan.sockets.abstract || (manager && manager[0] == '@')});
  if (!landlock) missing.push_back(landlock.error().text);
  if (Result<Fd> told = tell_refused_calls(); told) inside->refused = std::move(*told);
  if (Result<void> entered = allow_calls_of_gateway({.vsock = plan.sockets.vsock, .tipc = plan.sockets.tipc});
      !entered) {
    missing.push_back(entered.error().text);
  }
  for (const std::string &each : missing) status.reason += (status.reason.empty() ? "" : "; ") + each;
  status.state = missing.empty() ? SandboxState::on : SandboxState::partial;
  if (missing.empty()) {
    log::info("sandbox: on (seccomp, Landlock {})", *landlock);
  } else {
    log::warn("sandbox: partial: {}", status.reason);
  }
  return std::unique_ptr<Sandbox>(new Sandbox(std::move(inside)));
}

Sandbox::Sandbox(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Sandbox::~Sandbox() = default;

void Sandbox::watch(Loop &loop) {
  if (!inside_->refused) return;
  if (loop.poller().add(inside_->refused.get(), *inside_, Interest::reading)) inside_->loop = &loop;
}

SandboxStatus Sandbox::status() const {
  return inside_->status;
}

const SandboxPlan &Sandbox::plan() const {
  return inside_->plan;
}

std::vector<std::string> name_files(const dns::Options &resolving) {
  std::vector<std::string> files = TlsContext::system_authorities();
  files.push_back(resolving.hosts_path);
  files.push_back(resolving.resolv_conf_path);
  return files;
}

std::string socket_folder(const std::string &path) {
  std::string folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  ::mkdir(folder.c_str(), 0700);
  return folder;
}

}  // namespace slipgate
