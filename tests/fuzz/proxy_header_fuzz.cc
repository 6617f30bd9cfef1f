// Any bytes as the first of a stream, and as a datagram, behind a proxy.
#include "wire/proxy_header.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes bytes(data, size);
  ProxyV1 found = parse_proxy_v1(bytes);
  if (found.state == ProxyV1::State::complete) {
    if (found.size > size || found.size > kMostProxyV1Bytes || data[found.size - 1] != '\n') __builtin_trap();
    if (found.client.source.address.is_v4() != found.client.destination.address.is_v4()) __builtin_trap();
    // Nothing behind the line changes what it says, and without its end it is not there yet.
    if (parse_proxy_v1(bytes.first(found.size)).state != ProxyV1::State::complete) __builtin_trap();
    if (parse_proxy_v1(bytes.first(found.size - 1)).state != ProxyV1::State::incomplete) __builtin_trap();
  }
  if (found.state == ProxyV1::State::incomplete && size >= kMostProxyV1Bytes) __builtin_trap();
  if (const SppHeader *header = view_spp(bytes)) header->client();
  return 0;
}
