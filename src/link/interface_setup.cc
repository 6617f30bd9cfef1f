#include "link/interface_setup.h"

#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/fd.h"

namespace slipgate {

namespace {

// The first table that wg-quick tries, and its mark.
constexpr uint32_t kFirstTable = 51820;
constexpr uint32_t kMostTables = 1000;

// One request, built from the front.
class Message {
 public:
  Message(uint16_t type, uint16_t flags) {
    head()->nlmsg_type = type;
    head()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    head()->nlmsg_len = NLMSG_LENGTH(0);
  }

  template <typename T>
  Message &body(const T &value) {
    std::memcpy(buffer_.data() + head()->nlmsg_len, &value, sizeof(T));
    head()->nlmsg_len += NLMSG_ALIGN(sizeof(T));
    return *this;
  }
  Message &attribute(uint16_t type, Bytes value) {
    rtattr attribute{static_cast<uint16_t>(RTA_LENGTH(value.size())), type};
    std::memcpy(buffer_.data() + head()->nlmsg_len, &attribute, sizeof(attribute));
    std::memcpy(buffer_.data() + head()->nlmsg_len + RTA_LENGTH(0), value.data(), value.size());
    head()->nlmsg_len += RTA_SPACE(value.size());
    return *this;
  }
  Message &attribute(uint16_t type, uint32_t value) { return attribute(type, bytes_of(value)); }

  nlmsghdr *head() { return reinterpret_cast<nlmsghdr *>(buffer_.data()); }

 private:
  alignas(nlmsghdr) std::array<uint8_t, 512> buffer_{};  // several times what any request here has
};

uint8_t family_of(bool v4) {
  return v4 ? AF_INET : AF_INET6;
}

}  // namespace

class InterfaceSetup::Netlink {
 public:
  Netlink() : descriptor_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    // The kernel answers at once; the timeout is for a kernel that does not.
    timeval timeout{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(descriptor_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  }

  // Sends, and reads answers up to the acknowledgment; the errno, 0: done. `seen`: how many other answers there were.
  int ask(Message message, size_t *seen = nullptr) {
    if (!descriptor_) return EAFNOSUPPORT;
    // A dump ends by itself.
    if (message.head()->nlmsg_type != RTM_GETROUTE) message.head()->nlmsg_flags |= NLM_F_ACK;
    message.head()->nlmsg_seq = ++sequence_;
    if (::send(descriptor_.get(), message.head(), message.head()->nlmsg_len, 0) < 0) return errno;
    alignas(nlmsghdr) std::array<uint8_t, 32768> answer;
    while (true) {
      const ssize_t size = ::recv(descriptor_.get(), answer.data(), answer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return size < 0 ? errno : EPROTO;
      auto left = static_cast<uint32_t>(size);
      for (auto *each = reinterpret_cast<nlmsghdr *>(answer.data()); NLMSG_OK(each, left);
           each = NLMSG_NEXT(each, left)) {
        if (each->nlmsg_seq != sequence_) continue;
        if (each->nlmsg_type == NLMSG_DONE) return 0;
        if (each->nlmsg_type == NLMSG_ERROR) return -static_cast<const nlmsgerr *>(NLMSG_DATA(each))->error;
        if (seen) ++*seen;
      }
    }
  }

  Result<void> require(Message message, const std::string &what) {
    if (int error = ask(std::move(message))) return Error::from_errno(error, what);
    return {};
  }

  bool table_is_empty(uint32_t table) {
    for (bool v4 : {true, false}) {
      Message message(RTM_GETROUTE, NLM_F_DUMP);
      rtmsg route{};
      route.rtm_family = family_of(v4);
      message.body(route).attribute(RTA_TABLE, table);
      // With strict checks the kernel sends the routes of this table only, and ENOENT when there is no such table.
      int strict = 1;
      ::setsockopt(descriptor_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict, sizeof(strict));
      size_t routes = 0;
      const int error = ask(std::move(message), &routes);
      strict = 0;
      ::setsockopt(descriptor_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict, sizeof(strict));
      if (error == 0 && routes > 0) return false;
    }
    return true;
  }

  int rule(uint16_t type, uint16_t flags, bool v4, uint32_t table, std::optional<uint32_t> unless_mark) {
    Message message(type, flags);
    fib_rule_hdr rule{};
    rule.family = family_of(v4);
    rule.action = FR_ACT_TO_TBL;
    if (unless_mark) rule.flags = FIB_RULE_INVERT;
    message.body(rule).attribute(FRA_TABLE, table);
    if (unless_mark) {
      message.attribute(FRA_FWMARK, *unless_mark);
    } else {
      message.attribute(FRA_SUPPRESS_PREFIXLEN, 0);
    }
    return ask(std::move(message));
  }

 private:
  Fd descriptor_;
  uint32_t sequence_ = 0;
};

Result<std::unique_ptr<InterfaceSetup>> InterfaceSetup::apply(const std::string &name, const TunOptions &options,
                                                              const std::vector<IpPrefix> &routes) {
  std::unique_ptr<InterfaceSetup> setup(new InterfaceSetup);
  if (Result<void> done = setup->run(name, options, routes); !done) return done.error();
  return setup;
}

InterfaceSetup::InterfaceSetup() : netlink_(std::make_unique<Netlink>()) {}

InterfaceSetup::~InterfaceSetup() {
  for (bool v4 : {false, true}) {
    if (!rules_[v4]) continue;
    netlink_->rule(RTM_DELRULE, 0, v4, RT_TABLE_MAIN, std::nullopt);
    netlink_->rule(RTM_DELRULE, 0, v4, *mark_, mark_);
  }
}

Result<void> InterfaceSetup::run(const std::string &name, const TunOptions &options,
                                 const std::vector<IpPrefix> &routes) {
  const uint32_t index = ::if_nametoindex(name.c_str());
  if (index == 0) return Error::from_errno(errno, "interface " + name);

  for (const TunAddress &own : options.addresses) {
    Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    ifaddrmsg body{};
    body.ifa_family = family_of(own.address.is_v4());
    body.ifa_prefixlen = own.length;
    body.ifa_flags = IFA_F_NODAD;  // nobody else is on this cable
    body.ifa_index = index;
    message.body(body).attribute(IFA_LOCAL, own.address.family_bytes());
    message.attribute(IFA_ADDRESS, own.address.family_bytes());
    Result<void> done = netlink_->require(std::move(message), "address " + own.address.to_string() + " on " + name);
    if (!done) return done;
  }
  {
    Message message(RTM_NEWLINK, 0);
    ifinfomsg body{};
    body.ifi_index = static_cast<int>(index);
    body.ifi_flags = body.ifi_change = IFF_UP;
    message.body(body).attribute(IFLA_MTU, options.wireguard.mtu);
    if (Result<void> done = netlink_->require(std::move(message), "interface " + name); !done) return done;
  }

  if (options.table == TunOptions::Table::off) return {};
  for (const IpPrefix &prefix : routes) {
    const bool v4 = prefix.address.is_v4();
    uint32_t table = RT_TABLE_MAIN;
    if (options.table == TunOptions::Table::numbered) {
      table = options.table_number;
    } else if (prefix.length == 0) {
      if (Result<void> done = add_rules(v4, options.mark); !done) return done;
      table = *mark_;
    }
    Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    rtmsg body{};
    body.rtm_family = family_of(v4);
    body.rtm_dst_len = prefix.length;
    body.rtm_protocol = RTPROT_BOOT;
    body.rtm_scope = RT_SCOPE_LINK;
    body.rtm_type = RTN_UNICAST;
    message.body(body).attribute(RTA_TABLE, table).attribute(RTA_OIF, index);
    if (prefix.length > 0) message.attribute(RTA_DST, prefix.address.family_bytes());
    const int error = netlink_->ask(std::move(message));
    // A kernel without IPv6 has no routes for it, and needs none.
    if (error && (v4 || (error != EAFNOSUPPORT && error != EOPNOTSUPP && error != EACCES))) {
      return Error::from_errno(error, "route to " + prefix.to_string() + " by " + name);
    }
  }
  return {};
}

Result<void> InterfaceSetup::add_rules(bool v4, std::optional<uint32_t> wanted) {
  if (rules_[v4]) return {};
  if (!mark_ && wanted.value_or(0)) mark_ = wanted;  // the table has the mark's number
  if (!mark_) {
    uint32_t table = kFirstTable;
    while (!netlink_->table_is_empty(table)) {
      if (++table == kFirstTable + kMostTables) return Error{EBUSY, "no routing table is free for a default route"};
    }
    mark_ = table;
  }
  // Everything but our own datagrams looks into the table; but what the main table knows better than by its default
  // route stays as it is.
  constexpr uint16_t kNew = NLM_F_CREATE | NLM_F_EXCL;
  int error = netlink_->rule(RTM_NEWRULE, kNew, v4, *mark_, mark_);
  if (!error) error = netlink_->rule(RTM_NEWRULE, kNew, v4, RT_TABLE_MAIN, std::nullopt);
  if (error == EEXIST) error = 0;  // somebody else's default route uses the same rule
  if (error && !v4) return {};     // no IPv6 here
  if (error) return Error::from_errno(error, "rule for a default route");
  rules_[v4] = true;
  if (v4) {
    // So that the answers to marked datagrams pass the reverse path filter, where that is on.
    Fd file(::open("/proc/sys/net/ipv4/conf/all/src_valid_mark", O_WRONLY | O_CLOEXEC));
    if (file && ::write(file.get(), "1", 1) < 0) return {};
  }
  return {};
}

}  // namespace slipgate
