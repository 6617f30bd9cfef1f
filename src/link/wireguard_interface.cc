#include "link/wireguard_interface.h"

namespace slipgate {

Result<std::unique_ptr<WireGuardInterface>> WireGuardInterface::open(Loop &loop, const TunOptions &options) {
  std::unique_ptr<WireGuardInterface> made(new WireGuardInterface);
  // The device first: without the right to make one there is nothing to do, and the port stays free.
  Result<std::unique_ptr<TunDevice>> device =
      TunDevice::open(loop, *made, made->counters_, options.interface, options.wireguard.mtu);
  if (!device) return device.error();
  made->device_ = std::move(*device);
  Result<std::unique_ptr<WireGuardLink>> link =
      WireGuardLink::open(loop, options.wireguard, {}, made->buffers_, *made, made->counters_);
  if (!link) return link.error();
  made->link_ = std::move(*link);
  // Padding stays within what whoever set the MTU reckoned with. In another namespace nobody tells us.
  made->mtu_watch_ =
      MtuWatch::open(loop, made->name(), [wireguard = made->link_.get()](uint32_t mtu) { wireguard->set_mtu(mtu); });
  // While the UDP socket takes no more, the kernel keeps its packets, and whoever sends them waits.
  made->link_->on_congestion = [device = made->device_.get()](bool congested) {
    congested ? device->pause() : device->resume();
  };
  return made;
}

void WireGuardInterface::from_link(std::span<Packet> packets) {
  for (const Packet &packet : packets) {
    counters_.packets_from_link++;
    counters_.bytes_from_link += packet.size();
  }
  device_->write(packets);
}

void WireGuardInterface::from_tun(std::span<Packet> packets) {
  for (const Packet &packet : packets) {
    counters_.packets_to_link++;
    counters_.bytes_to_link += packet.size();
  }
  link_->send(packets);
}

void WireGuardInterface::on_tun_gone() {
  if (on_gone) on_gone();
}

}  // namespace slipgate
