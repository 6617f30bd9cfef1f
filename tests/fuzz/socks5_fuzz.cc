// Any bytes as what a SOCKS5 proxy says.
#include "wire/socks5.h"

using namespace slipgate;

namespace {

// What is complete needs no more, and nothing shorter is: so its end is known.
template <typename Parse>
void check(Parse parse, Bytes bytes) {
  const auto found = parse(bytes);
  if (found.state != socks5::State::complete) return;
  if (found.size == 0 || found.size > bytes.size()) __builtin_trap();
  if (parse(bytes.first(found.size)).size != found.size) __builtin_trap();
  if (parse(bytes.first(found.size - 1)).state != socks5::State::incomplete) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const Bytes bytes(data, size);
  check(socks5::parse_method, bytes);
  check(socks5::parse_login_status, bytes);
  check(socks5::parse_reply, bytes);
  std::optional<socks5::Datagram> datagram = socks5::parse_datagram(bytes);
  if (!datagram) return 0;
  const socks5::DatagramHeaderBytes header(datagram->peer);
  // Written again it is the same, but for a v4-mapped address, which becomes IPv4.
  if (header.bytes().size() + datagram->payload.size() > size) __builtin_trap();
  return 0;
}
