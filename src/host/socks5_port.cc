#include "host/socks5_port.h"

#include <cerrno>
#include <utility>

#include "wire/socks5.h"

namespace slipgate {

Result<std::unique_ptr<Socks5Port>> Socks5Port::open(Loop &loop, DatagramPortOwner &owner, StreamPtr control,
                                                     const Endpoint &relay, const HostDatagramPort::Options &options,
                                                     std::function<void()> on_end) {
  const bool v4 = relay.address.is_v4();
  const std::optional<IpAddress> &source = v4 ? options.source_ipv4 : options.source_ipv6;
  std::unique_ptr<Socks5Port> port(new Socks5Port(owner, std::move(control), relay, std::move(on_end)));
  Result<std::unique_ptr<HostDatagramSocket>> socket = HostDatagramSocket::open(
      loop, *port, HostDatagramSocket::Kind::udp, Endpoint{source.value_or(IpAddress::any(v4)), 0});
  if (!socket) return socket.error();
  port->socket_ = std::move(*socket);
  if (port->has_ended()) return Error::from_errno(ECONNRESET, "the proxy's control connection");
  port->control_->watch(port.get());
  return port;
}

Socks5Port::~Socks5Port() {
  control_->watch(nullptr);
}

bool Socks5Port::send(Bytes payload, const Endpoint &to, const DatagramHeader &header) {
  const socks5::DatagramHeaderBytes prefix(to);
  return socket_->send(prefix.bytes(), payload, relay_, {.traffic_class = header.traffic_class});
}

void Socks5Port::on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) {
  if (from != relay_) return;  // strangers: the relay speaks for everybody
  std::optional<socks5::Datagram> datagram = socks5::parse_datagram(payload);
  if (datagram) owner_.on_datagram(datagram->payload, datagram->peer, {.traffic_class = header.traffic_class});
}

// Of the way to the relay: nothing that the client's peers said.
void Socks5Port::on_datagram_error(const DatagramError &error) {
  owner_.on_datagram_error({.destination = error.destination, .code = error.code});
}

// Words belong there as little as an error.
bool Socks5Port::has_ended() {
  const Peeked peeked = control_->peek(1);
  return peeked.size > 0 || peeked.end || peeked.error;
}

void Socks5Port::on_readable() {
  if (!has_ended()) return;
  control_->watch(nullptr);
  on_end_();
}

}  // namespace slipgate
