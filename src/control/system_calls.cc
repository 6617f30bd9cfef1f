#include "control/system_calls.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

namespace slipgate {
namespace {

struct Group {
  std::string_view needed_by;
  std::initializer_list<int> calls;
};

// Whatever their arguments are. A call that an architecture does not have is passed over.
const Group kGateway[] = {
    {"io/poller, io/loop: the loops of all threads",
     {SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
      SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
      SCMP_SYS(signalfd4)}},
    {"streams, pipes and files that are open",
     {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(close),
      SCMP_SYS(lseek), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(poll), SCMP_SYS(ppoll)}},
    {"host, link, dns, control: sockets that are open; socket() is below",
     {SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getsockname),
      SCMP_SYS(getpeername), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
      SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown)}},
    {"control: its sockets' files are made, locked and removed; dns/host_files: has a file changed?",
     {SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(statx),
      SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(unlink),
      SCMP_SYS(unlinkat), SCMP_SYS(flock), SCMP_SYS(fchmod)}},
    {"malloc, and libsodium's locked memory; mmap() and mprotect() are below",
     {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(mlock2),
      SCMP_SYS(munlock)}},
    {"threads; clone() is below",
     {SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(exit),
      SCMP_SYS(exit_group), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield), SCMP_SYS(getcpu),
      SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
      SCMP_SYS(restart_syscall)}},
    {"clocks, where they are no plain reads of memory",
     {SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(nanosleep),
      SCMP_SYS(clock_nanosleep)}},
    {"who and where we are: control's sockets, metrics, c-ares, random numbers",
     {SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
      SCMP_SYS(getrusage), SCMP_SYS(getrlimit), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrandom)}},
};

const Group kOpener[] = {
    {"requests and answers", {SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(close)}},
    {"its end", {SCMP_SYS(exit_group), SCMP_SYS(exit), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall)}},
};

// A call that is allowed when all the conditions hold; several rows of one call: when one of them does.
struct Condition {
  int call;
  std::initializer_list<scmp_arg_cmp> arguments;
};

constexpr scmp_arg_cmp is(unsigned argument, uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
constexpr scmp_arg_cmp bits(unsigned argument, uint64_t mask, uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

constexpr uint64_t kSocketType = 0xf;                         // of socket()'s type, without its flags
constexpr uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;  // of open()'s flags
constexpr uint64_t kNameMapping = 0x53564d41;                 // PR_SET_VMA: malloc and threads name their memory
constexpr uint64_t kTerminal2 = 0x802c542a;                   // TCGETS2: is standard output a terminal?
constexpr uint64_t kRouteFamily = 0;                          // NETLINK_ROUTE
constexpr int kTerminal = 0x5401, kInterfaceIndex = 0x8933, kInterfaceName = 0x8910;  // TCGETS, SIOCGIF{INDEX,NAME}

const Condition kSockets[] = {
    {SCMP_SYS(socket), {is(0, AF_INET), bits(1, kSocketType, SOCK_STREAM)}},
    {SCMP_SYS(socket), {is(0, AF_INET), bits(1, kSocketType, SOCK_DGRAM)}},  // UDP, ping sockets
    {SCMP_SYS(socket), {is(0, AF_INET6), bits(1, kSocketType, SOCK_STREAM)}},
    {SCMP_SYS(socket), {is(0, AF_INET6), bits(1, kSocketType, SOCK_DGRAM)}},
    {SCMP_SYS(socket), {is(0, AF_UNIX)}},                          // control, sd_notify, names of interfaces
    {SCMP_SYS(socket), {is(0, AF_NETLINK), is(2, kRouteFamily)}},  // the host's addresses and routes
};

// Reading only; what, Landlock says. Where there is no Landlock, the files' modes do.
const Condition kReading[] = {
    {SCMP_SYS(openat), {bits(2, kWriting, O_RDONLY)}},
};

const Condition kNoNewCode[] = {
    {SCMP_SYS(mmap), {bits(2, PROT_EXEC, 0)}},
    {SCMP_SYS(mmap2), {bits(2, PROT_EXEC, 0)}},
    {SCMP_SYS(mprotect), {bits(2, PROT_EXEC, 0)}},
};

const Condition kNarrow[] = {
    {SCMP_SYS(clone), {bits(0, CLONE_THREAD, CLONE_THREAD)}},  // threads of ours, no processes
    {SCMP_SYS(fcntl), {is(1, F_GETFL)}},
    {SCMP_SYS(fcntl), {is(1, F_SETFL)}},
    {SCMP_SYS(fcntl), {is(1, F_GETFD)}},
    {SCMP_SYS(fcntl), {is(1, F_SETFD)}},
    {SCMP_SYS(fcntl), {is(1, F_DUPFD_CLOEXEC)}},
    {SCMP_SYS(ioctl), {is(1, FIONREAD)}},
    {SCMP_SYS(ioctl), {is(1, FIONBIO)}},
    {SCMP_SYS(ioctl), {is(1, kTerminal)}},
    {SCMP_SYS(ioctl), {is(1, kTerminal2)}},
    {SCMP_SYS(ioctl), {is(1, kInterfaceIndex)}},
    {SCMP_SYS(ioctl), {is(1, kInterfaceName)}},
    {SCMP_SYS(prctl), {is(0, PR_SET_NAME)}},
    {SCMP_SYS(prctl), {is(0, kNameMapping)}},
    {SCMP_SYS(prlimit64), {is(0, 0), is(2, 0)}},  // our own limits, and only to look at them
};

class Filter {
 public:
  explicit Filter(uint32_t otherwise) : context_(::seccomp_init(otherwise), ::seccomp_release) {
    if (!context_) error_ = ENOMEM;
    // We have set it; a tree of comparisons finds a call sooner than a list.
    keep(::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_NNP, 0));
    keep(::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
    // Calls by another architecture's entry: refused like others, not the end of the process.
    keep(::seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, otherwise));
  }

  void allow_calls(std::span<const Group> groups) {
    for (const Group &group : groups) {
      for (int call : group.calls) keep(::seccomp_rule_add(context_.get(), SCMP_ACT_ALLOW, call, 0));
    }
  }
  void allow_when(std::span<const Condition> conditions) {
    for (const Condition &each : conditions) allow_one(each);
  }
  void allow_one(const Condition &one) {
    const auto count = static_cast<unsigned>(one.arguments.size());
    keep(::seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, one.call, count, one.arguments.begin()));
  }
  // As on a kernel that does not have it: the C library knows another way.
  void absent(int call) { keep(::seccomp_rule_add(context_.get(), SCMP_ACT_ERRNO(ENOSYS), call, 0)); }

  Result<void> load() {
    if (error_ == 0) keep(::seccomp_load(context_.get()));
    if (error_ == 0) return {};
    return Error::from_errno(error_, "seccomp");
  }

 private:
  void keep(int result) {
    if (result < 0 && error_ == 0) error_ = -result;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int error_ = 0;
};

}  // namespace

Result<void> allow_calls_of_gateway(const CallsOfGateway &options) {
  Filter filter(kRefusedCallsAreTold ? SCMP_ACT_TRAP : SCMP_ACT_ERRNO(EPERM));
  filter.allow_calls(kGateway);
  filter.allow_when(kSockets);
  filter.allow_when(kReading);
  filter.allow_when(kNoNewCode);
  filter.allow_when(kNarrow);
  if (options.vsock) filter.allow_one({SCMP_SYS(socket), {is(0, AF_VSOCK)}});
  if (options.tipc) filter.allow_one({SCMP_SYS(socket), {is(0, AF_TIPC)}});
  // abort() of this process; nobody else's threads.
  filter.allow_one({SCMP_SYS(tgkill), {is(0, static_cast<uint64_t>(::getpid()))}});
  // Its flags lie in memory, where a filter cannot see them: the C library then calls clone().
  filter.absent(SCMP_SYS(clone3));
  return filter.load();
}

Result<void> allow_calls_of_opener() {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  filter.allow_calls(kOpener);
  filter.allow_when(kReading);
  return filter.load();
}

std::string name_of_call(uint32_t architecture, int number) {
  std::unique_ptr<char, void (*)(void *)> name(::seccomp_syscall_resolve_num_arch(architecture, number), ::free);
  return name ? name.get() : "number " + std::to_string(number);
}

void let_refused_call_fail(void *context) {
  [[maybe_unused]] auto *state = static_cast<ucontext_t *>(context);
#if defined(__x86_64__)
  state->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
  state->uc_mcontext.regs[0] = static_cast<uint64_t>(-EPERM);
#endif
}

}  // namespace slipgate
