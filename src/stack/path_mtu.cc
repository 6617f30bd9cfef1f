#include "stack/path_mtu.h"

#include <algorithm>

#include "stack/siphash.h"

namespace slipgate {

size_t PathMtus::slot(const IpAddress &to) const {
  return siphash(secret_, to.v6_bytes()) % kPaths;
}

bool PathMtus::learn(uint16_t link, const IpAddress &to, uint32_t mtu) {
  mtu = std::max<uint32_t>(mtu, to.is_v4() ? kLeastV4 : kLeastV6);  // lesson: path-mtu-has-a-floor
  if (mtu >= mtu_to(link, to)) return false;
  if (paths_.empty()) paths_.resize(kPaths);
  paths_[slot(to)] = {to, static_cast<uint16_t>(mtu), timers_.now() + kKept};
  return true;
}

uint16_t PathMtus::known(uint16_t link, const IpAddress &to) const {
  const Path &path = paths_[slot(to)];
  return path.to == to && timers_.now() < path.until ? std::min(path.mtu, link_mtu(link)) : link_mtu(link);
}

}  // namespace slipgate
