// Any bytes as the first of a stream, and as a datagram, behind a proxy.
#include "wire/proxy_header.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes bytes(data, size);
  ProxyHeader found = parse_proxy_header(bytes);
  if (found.state == ProxyHeader::State::complete) {
    const bool v1 = data[0] == 'P';
    if (found.size > size || found.size > (v1 ? kMostProxyV1Bytes : kMostProxyV2Bytes)) __builtin_trap();
    if (v1 && data[found.size - 1] != '\n') __builtin_trap();
    if (found.client) {
      if (found.client->source.address.is_v4() != found.client->destination.address.is_v4() && v1) __builtin_trap();
      // What we would say ourselves is read back.
      for (int version : {1, 2}) {
        if (found.client->source.address.is_v4() != found.client->destination.address.is_v4()) break;
        const ProxyHeader again = parse_proxy_header(make_proxy_header(version, *found.client));
        if (!again.client || again.client->source != found.client->source) __builtin_trap();
        if (again.client->destination != found.client->destination) __builtin_trap();
      }
    }
    // Nothing behind the header changes what it says, and without its end it is not there yet.
    if (parse_proxy_header(bytes.first(found.size)).state != ProxyHeader::State::complete) __builtin_trap();
    if (parse_proxy_header(bytes.first(found.size - 1)).state != ProxyHeader::State::incomplete) __builtin_trap();
  }
  if (found.state == ProxyHeader::State::incomplete && size >= kMostProxyV2Bytes) __builtin_trap();
  if (const SppHeader *header = view_spp(bytes)) header->client();
  return 0;
}
