// Any bytes as an IP packet: what parse_packet() accepts lies inside them, and its TCP options can be read.
#include "base/packet.h"
#include "wire/flow_key.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes packet(data, size);
  auto result = parse_packet(packet);
  const ParsedPacket *parsed = std::get_if<ParsedPacket>(&result);
  if (!parsed) return 0;
  if (parsed->length > size || parsed->transport_offset > parsed->length) __builtin_trap();
  const uint64_t secret[2] = {1, 2};
  if (keyed_hash(parsed->key, secret) == 0 && parsed->key.to_string().empty()) __builtin_trap();
  if (parsed->fragment) return 0;
  Bytes transport = packet.subspan(parsed->transport_offset, parsed->length - parsed->transport_offset);
  if (parsed->key.protocol == Protocol::tcp) {
    const TcpHeader *tcp = view_as<TcpHeader>(transport);
    if (!tcp || tcp->header_length() > transport.size()) __builtin_trap();
    parse_tcp_options(transport.subspan(sizeof(TcpHeader), tcp->header_length() - sizeof(TcpHeader)));
  }
  return 0;
}
