#include "link/tun_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace slipgate {
namespace {

// Linux 6.2; older headers do not know them.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

constexpr uint32_t kSmallBuffer = 2048;
constexpr uint32_t kLargeBuffer = Packet::kHeadroom + 65536 + Packet::kTailroom;
// Packets on their way to the link: what it queues, and what waits for a handshake.
constexpr size_t kMostSmall = 16384, kKeptSmall = 1024;
constexpr size_t kMostLarge = 512, kKeptLarge = 16;

// Packets that the kernel keeps for us, so that datagrams survive while another process has the processor.
constexpr int kQueue = 2000;

std::string why_not(int error, const std::string &name) {
  switch (error) {
    case EPERM:
      return "cannot make the interface " + name +
             ": CAP_NET_ADMIN is needed in this network namespace (as root, or in `unshare -rn`)";
    case EBUSY:
      return "cannot make the interface " + name + ": somebody else has a TUN device of this name";
    case EINVAL:
      return "cannot make the interface " + name + ": there is one of this name that is no TUN device";
    default:
      return {};
  }
}

}  // namespace

Result<std::unique_ptr<TunDevice>> TunDevice::open(Loop &loop, TunEvents &events, Counters &counters,
                                                   const std::string &name, uint16_t mtu) {
  std::unique_ptr<TunDevice> device(new TunDevice(loop, events, counters));
  if (Result<void> made = device->make(name, mtu); !made) return made.error();
  if (Result<void> watched = loop.poller().add(device->descriptor_.get(), *device, Interest::reading); !watched)
    return watched.error();
  return device;
}

TunDevice::TunDevice(Loop &loop, TunEvents &events, Counters &counters)
    : loop_(loop),
      events_(events),
      counters_(counters),
      small_(kSmallBuffer, kMostSmall, kKeptSmall),
      large_(kLargeBuffer, kMostLarge, kKeptLarge),
      incoming_(std::make_unique<std::array<uint8_t, kLongestPacket + 1>>()) {
  batch_.reserve(2 * kBatch);
}

TunDevice::~TunDevice() {
  if (destroyed_) *destroyed_ = true;
  if (descriptor_) loop_.poller().remove(descriptor_.get(), *this);
}

Result<void> TunDevice::make(const std::string &name, uint16_t mtu) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return Error{EINVAL, "interface name '" + name + "': give one of 1 to 15 characters"};
  }
  descriptor_ = Fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!descriptor_) return Error::from_errno(errno, "cannot open /dev/net/tun");
  const int fd = descriptor_.get();
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) {
    const int error = errno;
    if (std::string words = why_not(error, name); !words.empty()) return Error{error, words};
    return Error::from_errno(error, "cannot make the interface " + name);
  }
  name_ = request.ifr_name;
  // The header's fields are little endian on every machine, and as long as we know them.
  int on = 1, length = sizeof(VirtioNetHeader);
  if (::ioctl(fd, TUNSETVNETLE, &on) != 0 || ::ioctl(fd, TUNSETVNETHDRSZ, &length) != 0) {
    return Error::from_errno(errno, "the kernel's TUN device " + name_ + " knows no virtio headers");
  }
  constexpr unsigned kChecksum = TUN_F_CSUM, kTcp = kChecksum | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  constexpr unsigned kBoth = kTcp | TUN_F_USO4 | TUN_F_USO6;
  const bool udp = ::ioctl(fd, TUNSETOFFLOAD, kBoth) == 0;
  if (!udp && ::ioctl(fd, TUNSETOFFLOAD, kTcp) != 0) ::ioctl(fd, TUNSETOFFLOAD, kChecksum);
  Fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  request.ifr_mtu = mtu;
  if (::ioctl(any.get(), SIOCSIFMTU, &request) != 0) return Error::from_errno(errno, "cannot set the MTU of " + name_);
  request.ifr_qlen = kQueue;
  ::ioctl(any.get(), SIOCSIFTXQLEN, &request);  // else it has the kernel's 500
  joiner_.reset(new PacketJoiner(*this, udp));  // here, the base is accessible
  return {};
}

Packet TunDevice::allocate(size_t size) {
  const bool fits = size + Packet::kHeadroom + Packet::kTailroom <= kSmallBuffer;
  return (fits ? small_ : large_).allocate(size);
}

void TunDevice::resume() {
  if (!paused_) return;
  paused_ = false;
  loop_.poller().rearm(descriptor_.get(), *this, Interest::reading);
}

void TunDevice::on_events(uint32_t) {
  if (paused_) return;
  bool more = true;
  while (more && batch_.size() < kBatch) {
    VirtioNetHeader header;
    const iovec pieces[] = {{&header, sizeof(header)}, {incoming_->data(), incoming_->size()}};
    const ssize_t size = ::readv(descriptor_.get(), pieces, 2);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EBADFD) {  // the interface was deleted
      batch_.clear();
      loop_.poller().remove(descriptor_.get(), *this);
      descriptor_.reset();
      return events_.on_tun_gone();
    }
    more = size > 0;
    if (size <= static_cast<ssize_t>(sizeof(header))) continue;
    const Bytes packet(incoming_->data(), static_cast<size_t>(size) - sizeof(header));
    if (std::optional<DropReason> reason = cut_packet(header, packet, *this, batch_)) counters_.drop(*reason);
  }
  if (more) loop_.poller().rearm(descriptor_.get(), *this, Interest::reading);
  if (batch_.empty()) return;
  bool gone = false;
  destroyed_ = &gone;
  events_.from_tun(batch_);
  if (gone) return;
  destroyed_ = nullptr;
  batch_.clear();
}

void TunDevice::write(std::span<Packet> packets) {
  for (Packet &packet : packets) joiner_->add(packet.mutable_bytes());
  joiner_->flush();
}

// The kernel takes a packet whole or not at all, and never lets us wait: it drops what its stack has no room for.
void TunDevice::write(std::span<const iovec> pieces) {
  if (!descriptor_) return;
  ssize_t written;
  do {
    written = ::writev(descriptor_.get(), pieces.data(), static_cast<int>(pieces.size()));
  } while (written < 0 && errno == EINTR);
  // EIO: the interface is down. EINVAL: not a packet to the kernel's liking.
  if (written < 0) counters_.drop(DropReason::link_send_failed);
}

}  // namespace slipgate
