#include "host/unix.h"

#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <utility>

namespace slipgate {

Task<Result<StreamPtr, DialError>> dial_unix(Loop &loop, target::Unix to, Duration timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (to.path.size() >= sizeof(address.sun_path)) co_return local_error(ENAMETOOLONG);
  to.path.copy(address.sun_path, to.path.size());
  size_t size = offsetof(sockaddr_un, sun_path) + to.path.size();
  // The name of an abstract socket ends with the address, a path with a zero.
  if (to.path.starts_with('@')) {
    address.sun_path[0] = '\0';
  } else {
    size++;
  }
  Fd descriptor(::socket(AF_UNIX, kStreamSocket, 0));
  if (!descriptor) co_return local_error(errno);
  AnyAddress name(address, static_cast<socklen_t>(size));
  co_return co_await connect_stream(loop, std::move(descriptor), name, timeout);
}

}  // namespace slipgate
