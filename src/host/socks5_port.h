// Datagrams through a SOCKS5 proxy (RFC 1928 section 7): a socket of our own towards the proxy's relay, each datagram
// with a header that names its peer, for as long as the connection stands over which the association was asked for.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <memory>

#include "host/socks5.h"
#include "host/udp.h"

namespace slipgate {

class Socks5Port final : public DatagramPort, DatagramPortOwner, StreamWatcher {
 public:
  // `relay`: where the association's datagrams go. `on_end`: the control connection has ended; may destroy the port.
  static Result<std::unique_ptr<Socks5Port>> open(Loop &loop, DatagramPortOwner &owner, StreamPtr control,
                                                  const Endpoint &relay, const HostDatagramPort::Options &options,
                                                  std::function<void()> on_end);
  ~Socks5Port() override;

  // The header's TTL is the proxy's business, and fragments are the path's to it.
  bool send(Bytes payload, const Endpoint &to, const DatagramHeader &header) override;

 private:
  Socks5Port(DatagramPortOwner &owner, StreamPtr control, const Endpoint &relay, std::function<void()> on_end)
      : owner_(owner), control_(std::move(control)), relay_(relay), on_end_(std::move(on_end)) {}

  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) override;
  void on_datagram_error(const DatagramError &error) override;
  Pace *pace() override { return owner_.pace(); }
  void on_readable() override;
  bool has_ended();
  void on_writable() override {}

  DatagramPortOwner &owner_;
  StreamPtr control_;
  const Endpoint relay_;
  const std::function<void()> on_end_;
  std::unique_ptr<HostDatagramSocket> socket_;
};

}  // namespace slipgate
