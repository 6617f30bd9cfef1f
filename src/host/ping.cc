#include "host/ping.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>

#include "base/bytes.h"
#include "base/endian.h"
#include "host/error_queue.h"

namespace slipgate {

namespace {

struct EchoHeader {  // RFC 792, RFC 4443 section 4
  uint8_t type;
  uint8_t code;
  be16 checksum;    // the kernel's
  be16 identifier;  // the kernel's
  be16 sequence;
};
static_assert(sizeof(EchoHeader) == 8);

constexpr uint8_t kEchoRequest = 8, kEchoReply = 0;
constexpr uint8_t kEchoRequestV6 = 128, kEchoReplyV6 = 129;

}  // namespace

PingPort::PingPort(Loop &loop, PingPortOwner &owner, const Options &options)
    : loop_(loop), owner_(owner), options_(options) {}
PingPort::~PingPort() = default;

bool PingPort::send(uint16_t sequence, Bytes payload, const IpAddress &to, const DatagramHeader &header) {
  bool v4 = to.is_v4();
  last_sequence_ = sequence;
  std::unique_ptr<HostDatagramSocket> &socket = sockets_[v4 ? 0 : 1];
  if (!socket) {
    const std::optional<IpAddress> &source = v4 ? options_.source_ipv4 : options_.source_ipv6;
    Endpoint local{source.value_or(IpAddress::any(v4)), 0};
    Result<std::unique_ptr<HostDatagramSocket>> opened =
        HostDatagramSocket::open(loop_, *this, HostDatagramSocket::Kind::ping, local);
    if (!opened) {
      open_error_ = opened.error().code;
      DatagramError error{.destination = {to, 0}, .code = open_error_};
      error.has_icmp = describe_in_icmp(open_error_, v4, error.icmp_type, error.icmp_code);
      owner_.on_echo_error(sequence, error);
      return false;
    }
    socket = std::move(*opened);
  }
  EchoHeader echo{.type = v4 ? kEchoRequest : kEchoRequestV6,
                  .code = 0,
                  .checksum = be16(0),
                  .identifier = be16(0),
                  .sequence = be16(sequence)};  // lesson: host-ping-identifier
  return socket->send(bytes_of(echo), payload, {to, 0}, header);
}

void PingPort::on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) {
  const EchoHeader *echo = view_as<EchoHeader>(payload);
  if (!echo || echo->type != (from.address.is_v4() ? kEchoReply : kEchoReplyV6)) return;
  owner_.on_echo_reply(echo->sequence.value(), payload.subspan(sizeof(EchoHeader)), from.address, header);
}

void PingPort::on_datagram_error(const DatagramError &error) {
  const EchoHeader *echo = view_as<EchoHeader>(error.quote);
  bool ours = echo && echo->type == (error.destination.address.is_v4() ? kEchoRequest : kEchoRequestV6);
  owner_.on_echo_error(ours ? echo->sequence.value() : last_sequence_, error);
}

PingSupport probe_ping_sockets() {
  PingSupport support;
  Fd v4(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
  int error = v4 ? 0 : errno;
  Fd v6(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMPV6));
  support.v4 = static_cast<bool>(v4);
  support.v6 = static_cast<bool>(v6);
  if (error == EACCES || error == EPERM) {
    // One range for both families (ping(7) and icmp(7)).
    support.advice = fmt::format(
        "the kernel gives no ping sockets to group {0}, so echo is not forwarded; to allow it: "
        "sysctl -w net.ipv4.ping_group_range=\"{0} {0}\"",
        ::getegid());
  } else if (error) {
    support.advice = Error::from_errno(error, "the kernel has no ping sockets, so echo is not forwarded").text;
  }
  return support;
}

}  // namespace slipgate
