#include "control/opener.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "control/landlock.h"
#include "control/system_calls.h"

namespace slipgate {
namespace {

// Everything that was open in whoever started us, but for the socket; standard streams lead nowhere.
void close_others(int socket) {
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (nowhere >= 0 && standard != socket) ::dup2(nowhere, standard);
  }
  if (socket > STDERR_FILENO + 1) ::close_range(STDERR_FILENO + 1, static_cast<unsigned>(socket) - 1, 0);
  ::close_range(std::max<unsigned>(static_cast<unsigned>(socket), STDERR_FILENO) + 1, ~0U, 0);
}

void confine() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // Names may lead anywhere, now and later, but only for reading.
  const LandlockRule everything[] = {{"/", kLandlockReadFile}};
  (void)enter_landlock({.rules = everything});
  (void)allow_calls_of_opener();
}

// Answers with the errno (0: none) and, then, a descriptor.
bool answer(int socket, int error, int descriptor) {
  iovec content{&error, sizeof(error)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  if (error == 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof(error);
}

// A request is a place in the list.
[[noreturn]] void serve(int socket, const std::vector<std::string> &paths) {
  while (true) {
    uint32_t place = 0;
    const ssize_t count = ::recv(socket, &place, sizeof(place), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count != sizeof(place)) ::_exit(0);
    int descriptor = -1, error = EACCES;
    if (place < paths.size()) {
      // A pipe without a writer must not keep us from the next request.
      descriptor = ::open(paths[place].c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
      error = descriptor < 0 ? errno : 0;
    }
    const bool sent = answer(socket, error, descriptor);
    if (descriptor >= 0) ::close(descriptor);
    if (!sent) ::_exit(0);
  }
}

}  // namespace

Result<std::unique_ptr<Opener>> Opener::start(std::vector<std::string> paths, bool confined) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return Error::from_errno(errno, "socketpair");
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return Error::from_errno(errno, "fork");
  if (child == 0) {
    ::prctl(PR_SET_NAME, "slipgate-opener", 0, 0, 0);
    // It ends with whoever it opens for, and not before: a terminal's and a manager's signals go to both.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != parent) ::_exit(0);
    for (int each : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(each, SIG_IGN);
    close_others(theirs.get());
    if (confined) confine();
    serve(theirs.get(), paths);
  }
  return std::unique_ptr<Opener>(new Opener(std::move(ours), std::move(paths)));
}

int Opener::open(const std::string &path) {
  const auto found = std::find(paths_.begin(), paths_.end(), path);
  if (found == paths_.end()) return -EPERM;  // the process knows numbers only
  const auto place = static_cast<uint32_t>(found - paths_.begin());

  std::lock_guard lock(mutex_);
  if (::send(socket_.get(), &place, sizeof(place), MSG_NOSIGNAL) != sizeof(place)) return -EPIPE;
  int error = 0;
  iovec content{&error, sizeof(error)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t count;
  do {
    count = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count != sizeof(error)) return -EPIPE;
  if (error != 0) return -error;
  const cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_type != SCM_RIGHTS) return -EMFILE;  // no room for it in this process
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
  return descriptor;
}

}  // namespace slipgate
