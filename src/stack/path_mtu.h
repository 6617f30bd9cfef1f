// The MTU of paths behind clients that are smaller than the link's, as routers there say ("packet too big"): RFC 1191,
// RFC 8201. What is written here was checked before: only the client that has an address may say something about it.
//
// Lives on one shard. Costs nothing while no path is known.
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/timer_wheel.h"

namespace slipgate {

class PathMtus {
 public:
  // RFC 8201 section 4: after this long it may have grown again.
  static constexpr Duration kKept = minutes(10);
  static constexpr size_t kPaths = 1024;      // two that fall together: the last one stays
  static constexpr uint16_t kLeastV4 = 576;   // every host takes these (RFC 791 section 3.1)
  static constexpr uint16_t kLeastV6 = 1280;  // and every link these (RFC 8200 section 5)

  // `mtu`: of links beyond `link_mtus`.
  PathMtus(const TimerWheel &timers, uint16_t mtu, const std::vector<uint16_t> &link_mtus, const uint64_t secret[2])
      : timers_(timers), mtu_(mtu), link_mtus_(link_mtus), secret_{secret[0], secret[1]} {}

  // Learns that of the path to `to`, which begins with this link; 0 (routers before RFC 1191): the least. False: it is
  // no less than what was known.
  bool learn(uint16_t link, const IpAddress &to, uint32_t mtu);
  // The largest packet that fits all the way.
  uint16_t mtu_to(uint16_t link, const IpAddress &to) const { return any() ? known(link, to) : link_mtu(link); }
  uint16_t link_mtu(uint16_t link) const { return link < link_mtus_.size() ? link_mtus_[link] : mtu_; }
  bool any() const { return !paths_.empty(); }

 private:
  struct Path {
    IpAddress to;
    uint16_t mtu = 0;
    Time until{};
  };

  size_t slot(const IpAddress &to) const;
  uint16_t known(uint16_t link, const IpAddress &to) const;

  const TimerWheel &timers_;
  const uint16_t mtu_;
  const std::vector<uint16_t> link_mtus_;
  const uint64_t secret_[2];
  std::vector<Path> paths_;  // none, or kPaths
};

}  // namespace slipgate
