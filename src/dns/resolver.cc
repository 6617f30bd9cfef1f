#include "dns/resolver.h"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>

#include "io/wait.h"

namespace slipgate::dns {

namespace {

constexpr uint32_t kOurselves = 0;  // Packet::client of nobody

std::optional<Name> joined(const Name &name, const Name &domain) {
  return Name::parse(name.to_string() + "." + domain.to_string());
}

}  // namespace

// The two questions for one name. Of the coroutine that asks: answers that come after it has gone find nobody.
struct Resolver::Asked {
  explicit Asked(Loop &loop) : changed(loop) {}

  void take(Type type, Bytes message);

  Event changed;
  int waiting = 2;
  bool failed = false;  // a server failed, as opposed to: the name or its addresses do not exist
  std::vector<IpAddress> v4, v6;
  uint32_t ttl = UINT32_MAX;  // the least of all records that led there
};

void Resolver::Asked::take(Type type, Bytes message) {
  waiting--;
  changed.notify();
  std::optional<Response> response = parse_response(message);
  if (!response || (response->code() != Code::NoError && response->code() != Code::NXDomain)) {
    failed = true;
    return;
  }
  for (const Record &record : response->answers) {
    ttl = std::min(ttl, record.ttl);
    if (!record.is(type)) continue;
    Bytes data = message.subspan(record.data_offset, record.data_size);
    if (type == Type::A && data.size() == 4) v4.push_back(IpAddress::from_v4(data));
    if (type == Type::AAAA && data.size() == 16) v6.push_back(IpAddress::from_v6(data));
  }
}

Task<std::shared_ptr<Resolver::Asked>> Resolver::ask(Name name) {
  auto asked = std::make_shared<Asked>(loop_);
  for (Type type : {Type::A, Type::AAAA}) {
    Query query;
    query.recursion_desired = true;
    query.question = {name, static_cast<uint16_t>(type), static_cast<uint16_t>(Class::IN)};
    server_.query(make_query(query), Transport::tcp, kOurselves,
                  [weak = std::weak_ptr<Asked>(asked), type](Bytes message) {
                    if (std::shared_ptr<Asked> there = weak.lock()) there->take(type, message);
                  });
  }
  while (asked->waiting > 0) {
    if (co_await asked->changed.wait() == Woken::cancelled) break;
  }
  co_return asked;
}

std::vector<Name> Resolver::candidates(const std::string &text, const Name &name) {
  // resolv.conf(5), "search" and "ndots".
  if (text.ends_with('.')) return {name};
  const ResolvConf &conf = server_.resolv_conf();
  std::vector<Name> names;
  for (const Name &domain : conf.search) {
    if (std::optional<Name> longer = joined(name, domain)) names.push_back(*longer);
  }
  bool first = std::count(text.begin(), text.end(), '.') >= conf.ndots;
  names.insert(first ? names.begin() : names.end(), name);
  return names;
}

Task<Result<std::vector<IpAddress>>> Resolver::resolve(std::string name) {
  Result<Resolved> found = co_await look_up(std::move(name));
  if (!found) co_return found.error();
  co_return std::move(found->addresses);
}

Task<Result<Resolved>> Resolver::look_up(std::string name) {
  if (std::optional<IpAddress> literal = IpAddress::parse(name)) co_return Resolved{{*literal}, kLongestValidity};
  std::optional<Name> parsed = Name::parse(name);
  if (!parsed || parsed->is_root()) co_return Error{EINVAL, fmt::format("'{}' is not a host name", name)};
  bool failed = false;
  for (const Name &candidate : candidates(name, *parsed)) {
    std::shared_ptr<Asked> asked = co_await ask(candidate);
    if (asked->waiting > 0) co_return Error{ECANCELED, fmt::format("cannot resolve {}: cancelled", name)};
    std::vector<IpAddress> found = std::move(asked->v4);
    found.insert(found.end(), asked->v6.begin(), asked->v6.end());
    if (!found.empty()) {
      const Duration ttl = seconds(asked->ttl);
      co_return Resolved{std::move(found), std::clamp(ttl, kShortestValidity, kLongestValidity)};
    }
    failed = failed || asked->failed;
  }
  if (failed) co_return Error{EAGAIN, fmt::format("cannot resolve {}: the name server did not answer", name)};
  co_return Error{ENOENT, fmt::format("cannot resolve {}: no such name, or it has no address", name)};
}

}  // namespace slipgate::dns
