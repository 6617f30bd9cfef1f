// What cannot be undone happens in processes of their own: the child's exit code is the number of the first check that
// did not hold, 0 for none.
#include "control/sandbox.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/log.h"
#include "base/read_file.h"
#include "control/landlock.h"
#include "control/opener.h"
#include "control/system_calls.h"
#include "io/signals.h"
#include "support/catch.h"

using namespace slipgate;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() { REQUIRE(::mkdtemp(path.data())); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char *name) const { return path + "/" + name; }
  std::string path = "/tmp/slipgate-sandbox-XXXXXX";
};

void write(const std::string &path, std::string_view text) {
  std::ofstream(path) << text;
}

int check_number;

void holds(bool condition) {
  check_number++;
  if (!condition) ::_exit(check_number);
}
// The last call failed for want of a right.
void refused(long result) {
  holds(result == -1 && (errno == EPERM || errno == EACCES));
}

// The number of the check that failed in a process of its own, 0: none; -SIGNAL when it died of one.
int in_process(const std::function<void()> &work) {
  const pid_t child = ::fork();
  if (child == 0) {
    check_number = 0;
    log::configure(LogLevel::error, LogFormat::text, "");  // what is refused here is no news
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int bound_unix_socket(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return ::bind(descriptor, reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0 ? descriptor : -1;
}

}  // namespace

TEST_CASE("the opener opens what is in its list by name each time, and nothing else") {
  Folder folder;
  fs::create_directory(folder / "there");
  write(folder / "file", "first");
  write(folder / "other", "not in the list");
  write(folder / "there/file", "third");
  Result<std::unique_ptr<Opener>> opener = Opener::start({folder / "file", folder / "missing", folder / "pipe"}, true);
  REQUIRE(opener);
  let_files_be_opened_by([&](const std::string &path) { return (*opener)->open(path); });
  auto content = [&](const char *name) { return read_file(folder / name, 100); };

  CHECK(*content("file") == "first");
  CHECK(content("other").error().code == EPERM);
  CHECK(content("missing").error().code == ENOENT);
  write(folder / "new", "second");
  fs::rename(folder / "new", folder / "file");
  CHECK(*content("file") == "second");
  fs::remove(folder / "file");
  fs::create_symlink("there/file", folder / "file");
  CHECK(*content("file") == "third");
  write(folder / "missing", "came late");
  CHECK(*content("missing") == "came late");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);  // nobody writes to it
  CHECK((!content("pipe") || content("pipe")->empty()));
  CHECK(*content("file") == "third");
  let_files_be_opened_by({});
}

TEST_CASE("an opener answers several threads, and ends with who started it") {
  Folder folder;
  write(folder / "a", "a");
  write(folder / "b", "b");
  pid_t child = 0;
  {
    Result<std::unique_ptr<Opener>> opener = Opener::start({folder / "a", folder / "b"}, true);
    REQUIRE(opener);
    let_files_be_opened_by([&](const std::string &path) { return (*opener)->open(path); });
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (const char *name : {"a", "b", "a", "b"}) {
      threads.emplace_back([&, name] {
        for (int i = 0; i < 200; i++) wrong += read_file(folder / name, 100).operator bool() == false;
        for (int i = 0; i < 200; i++) wrong += *read_file(folder / name, 100) != name;
      });
    }
    for (std::thread &thread : threads) thread.join();
    CHECK(wrong == 0);
    let_files_be_opened_by({});
  }
  CHECK(::waitpid(-1, &child, 0) > 0);  // it has ended, by itself
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // the sandbox is off in such builds

TEST_CASE(
    "what the sandbox does not list is refused, and the process goes on [sandbox-sigsys-open] [sandbox-devices]") {
  Folder folder;
  fs::create_directory(folder / "sockets");
  write(folder / "listed", "from the opener");
  write(folder / "there", "readable for everybody");
  const int failed = in_process([&] {
    const int held = ::open((folder / "there").c_str(), O_RDONLY | O_CLOEXEC);
    Loop loop;
    Result<std::unique_ptr<Sandbox>> sandbox =
        Sandbox::enter({.files = {folder / "listed"}, .socket_folders = {folder / "sockets"}});
    holds(sandbox && (*sandbox)->status().state == SandboxState::on);  // 1
    (*sandbox)->watch(loop);
    holds(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == -1 && errno == EPERM);  // 2: refused like any other prctl
    auto inside = [&] {
      refused(::open((folder / "there").c_str(), O_RDONLY));
      refused(::open((folder / "made").c_str(), O_WRONLY | O_CREAT, 0600));
      refused(::open((folder / "sockets/made").c_str(), O_WRONLY | O_CREAT, 0600));
      refused(::unlink((folder / "there").c_str()));
      refused(::rename((folder / "there").c_str(), (folder / "sockets/there").c_str()));
      refused(::mkdir((folder / "made").c_str(), 0700));
      refused(::fork());
      refused(::execl("/bin/true", "true", nullptr));
      refused(::socket(AF_PACKET, SOCK_RAW, 0));
      refused(::socket(AF_ALG, SOCK_SEQPACKET, 0));
      refused(::socket(AF_VSOCK, SOCK_STREAM, 0));
      refused(::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
      refused(::socket(AF_NETLINK, SOCK_RAW, 16));  // NETLINK_GENERIC
      refused(::kill(1, 0));
      refused(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                      MAP_FAILED
                  ? -1
                  : 0);
      refused(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
      refused(::syscall(SYS_ptrace, 0, 0, 0, 0));

      for (int family : {AF_INET, AF_INET6, AF_UNIX}) {
        const int descriptor = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        holds(descriptor >= 0 || errno == EAFNOSUPPORT);
        ::close(descriptor);
      }
      holds(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
      char byte;
      holds(::pread(held, &byte, 1, 0) == 1);
      holds(read_file(folder / "listed", 100) && *read_file(folder / "listed", 100) == "from the opener");
      const int listener = bound_unix_socket(folder / "sockets/control.sock");
      holds(listener >= 0);
      holds(bound_unix_socket(folder / "elsewhere.sock") < 0);
      holds(::unlink((folder / "sockets/control.sock").c_str()) == 0);
      std::vector<char> large(32 << 20, 1);
      holds(large.back() == 1);
    };
    inside();
    {
      const SignalsHeld held_back;  // as shards' threads are started: a refused call must not be deadly there
      std::thread(inside).join();
    }
    for (const char *device : {"/dev/null", "/dev/urandom"}) holds(::open(device, O_RDONLY | O_CLOEXEC) >= 0);
    loop.turn(milliseconds(100));
    holds((*sandbox)->status().refused_calls > 20);
  });
  CHECK(failed == 0);
  CHECK(fs::exists(folder / "there"));
  CHECK_FALSE(fs::exists(folder / "made"));
}

TEST_CASE("a family of sockets that somebody needs is allowed") {
  CHECK(in_process([] {
          Result<std::unique_ptr<Sandbox>> sandbox = Sandbox::enter({.sockets = {.tipc = true}});
          holds(sandbox.operator bool());
          const int descriptor = ::socket(AF_TIPC, SOCK_STREAM, 0);
          holds(descriptor >= 0 || errno == EAFNOSUPPORT);
          refused(::socket(AF_VSOCK, SOCK_STREAM, 0));
        }) == 0);
}

#endif

TEST_CASE("the sandbox that is off refuses nothing, and says so") {
  CHECK(in_process([] {
          Result<std::unique_ptr<Sandbox>> sandbox = Sandbox::enter({.on = false});
          holds(sandbox && (*sandbox)->status().state == SandboxState::off);
          holds((*sandbox)->status().reason == "--sandbox off");
          holds(::open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
        }) == 0);
}

TEST_CASE("refused calls have their names") {
  CHECK(name_of_call(0xc000003e, 59) == "execve");  // AUDIT_ARCH_X86_64
  CHECK(name_of_call(0xc000003e, 9999) == "number 9999");
}
