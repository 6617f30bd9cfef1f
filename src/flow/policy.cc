#include "flow/policy.h"

#include <algorithm>
#include <array>
#include <utility>

namespace slipgate {
namespace {

IpPrefix literal(const char *text) {
  return *IpPrefix::parse(text);
}

constexpr std::string_view kAddressOfHost = "address of the host";

// Metadata services that are not link-local: they hand credentials of the machine to whoever asks from it.
bool is_metadata_service(const IpAddress &address) {
  static const std::array<IpAddress, 3> kServices{
      *IpAddress::parse("fd00:ec2::254"),    // Amazon
      *IpAddress::parse("fd20:ce::254"),     // Google
      *IpAddress::parse("100.100.100.200"),  // Alibaba
  };
  return std::find(kServices.begin(), kServices.end(), address) != kServices.end();
}

}  // namespace

std::optional<IpAddress> embedded_v4(const IpAddress &address) {
  if (address.is_v4()) return std::nullopt;
  static const IpPrefix kCompatible = literal("::/96");            // RFC 4291 section 2.5.5.1
  static const IpPrefix kTranslated = literal("::ffff:0:0:0/96");  // RFC 2765 section 2.1
  static const IpPrefix kNat64 = literal("64:ff9b::/96");          // RFC 6052 section 2.1
  static const IpPrefix kNat64Local = literal("64:ff9b:1::/48");   // RFC 8215
  static const IpPrefix k6to4 = literal("2002::/16");              // RFC 3056 section 2
  static const IpPrefix kTeredo = literal("2001::/32");            // RFC 4380 section 4
  Bytes bytes = address.v6_bytes();
  bool last_four = kCompatible.contains(address) || kTranslated.contains(address) || kNat64.contains(address) ||
                   kNat64Local.contains(address);
  if (last_four) return IpAddress::from_v4(bytes.subspan(12, 4));
  if (k6to4.contains(address)) return IpAddress::from_v4(bytes.subspan(2, 4));
  if (kTeredo.contains(address)) {
    return IpAddress::v4(bytes[12] ^ 0xff, bytes[13] ^ 0xff, bytes[14] ^ 0xff, bytes[15] ^ 0xff);
  }
  return std::nullopt;
}

Policy::Policy(PolicyOptions options)
    : deny_(std::move(options.deny)),
      allow_(std::move(options.allow)),
      enable_host_(options.enable_host),
      closed_(options.closed) {}

std::string_view Policy::closed_by_default(const IpAddress &address) const {
  static const IpPrefix kThisNetwork = literal("0.0.0.0/8");  // RFC 1122 section 3.2.1.3
  if (address.is_unspecified() || kThisNetwork.contains(address)) return "unspecified address";
  if (address.is_loopback()) return "loopback address";      // lesson: policy-loopback-closed
  if (address.is_link_local()) return "link-local address";  // lesson: policy-metadata-closed
  if (is_metadata_service(address)) return "metadata service";
  if (address.is_multicast()) return "multicast address";
  bool broadcast =
      address.is_broadcast() || std::binary_search(host_broadcasts_.begin(), host_broadcasts_.end(), address);
  if (broadcast) return "broadcast address";
  bool own = std::binary_search(host_addresses_.begin(), host_addresses_.end(), address);
  if (own && !enable_host_) return kAddressOfHost;  // lesson: policy-host-closed
  return {};
}

Verdict Policy::check(const FlowKey &key) const {
  const IpAddress &address = key.outside.address;
  std::optional<IpAddress> carried = embedded_v4(address);
  if (deny_.match(key, address) || (carried && deny_.match(key, *carried))) {
    return {false, "deny rule"};
  }
  if (allow_.match(key, address)) return {true, "allow rule"};
  if (closed_) return {false, "not allowed by any rule"};
  if (std::string_view why = closed_by_default(address); !why.empty()) return {false, why, why == kAddressOfHost};
  if (carried) {  // lesson: policy-embedded-closed
    if (std::string_view why = closed_by_default(*carried); !why.empty()) return {false, why};
  }
  return {true, "open by default"};
}

void Policy::set_host_addresses(const std::vector<HostAddress> &addresses) {
  host_addresses_.clear();
  host_broadcasts_.clear();
  for (const HostAddress &host : addresses) {
    host_addresses_.push_back(host.address);
    // RFC 919 section 7; networks of 31 and 32 bits have no broadcast address (RFC 3021).
    if (!host.address.is_v4() || host.prefix_length < 1 || host.prefix_length > 30) continue;
    uint32_t number = ByteReader(host.address.v4_bytes()).u32() | (0xffffffffu >> host.prefix_length);
    host_broadcasts_.push_back(IpAddress::from_v4(bytes_of(be32(number))));
  }
  std::sort(host_addresses_.begin(), host_addresses_.end());
  std::sort(host_broadcasts_.begin(), host_broadcasts_.end());
}

std::vector<std::string> Policy::names() const {
  std::vector<std::string> names = deny_.names(), more = allow_.names();
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

void Policy::set_resolved(std::string_view name, const std::vector<IpAddress> &addresses) {
  deny_.set_resolved(name, addresses);
  allow_.set_resolved(name, addresses);
}

void Policy::keep_resolved(const Policy &before) {
  for (const Rules *rules : {&before.deny_, &before.allow_}) {
    deny_.keep_resolved(*rules);
    allow_.keep_resolved(*rules);
  }
}

}  // namespace slipgate
