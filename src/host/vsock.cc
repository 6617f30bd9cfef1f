#include "host/vsock.h"

#include <cerrno>
#include <utility>

namespace slipgate {

sockaddr_vm vsock_address(const target::Vsock &to) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = to.cid;
  address.svm_port = to.port;
  return address;
}

Task<Result<StreamPtr, DialError>> dial_vsock(Loop &loop, target::Vsock to, Duration timeout) {
  Fd descriptor(::socket(AF_VSOCK, kStreamSocket, 0));
  if (!descriptor) co_return local_error(errno);
  AnyAddress name(vsock_address(to));
  co_return co_await connect_stream(loop, std::move(descriptor), name, timeout);
}

}  // namespace slipgate
