#include "dns/server.h"

#include <sys/random.h>

#include <array>

#include "dns/resolver.h"

namespace slipgate::dns {

namespace {

const Name kLocalhost = *Name::parse("localhost");
const Name kInvalid = *Name::parse("invalid");
constexpr uint16_t kIn = static_cast<uint16_t>(Class::IN);

const std::array<IpAddress, 2> kLoopback{IpAddress::v4(127, 0, 0, 1), *IpAddress::parse("::1")};

bool asks_for_addresses(const Question &question) {
  return question.is(Type::A) || question.is(Type::AAAA) || question.is(Type::ANY);
}

// The only thing that an off-path liar has to guess besides the port (RFC 5452).
uint16_t random_id() {
  uint16_t id = 0;
  while (getrandom(&id, sizeof(id), 0) != sizeof(id)) {
  }
  return id;
}

}  // namespace

// Who waits for a lookup, and how it must be told.
struct Server::Asker {
  Query query;
  Transport transport;
  uint32_t client;
  Done done;

  void tell(const Answer &answer, seconds age = seconds(0)) const {
    size_t limit = transport == Transport::udp ? std::min(query.udp_limit(), kMaxUdpAnswer) : kMaxMessage;
    done(answer.render(query, age, limit));
  }
};

struct Server::Lookup {
  Query query;
  std::string key;   // in the cache
  bool edns = true;  // asked with an OPT record
  std::vector<Asker> askers;
};

// For the names of the TLS servers themselves: as this host resolves without them.
struct Server::Bootstrap {
  Bootstrap(Loop &loop, const Options &options) : server(loop, counters, options), resolver(loop, server) {}

  Counters counters;
  Server server;
  Resolver resolver;
};

Server::Server(Loop &loop, Counters &counters, Options options, DialStream dial)
    : loop_(loop),
      counters_(counters),
      options_(std::move(options)),
      dial_(std::move(dial)),
      hosts_file_(options_.hosts_path, options_.recheck),
      resolv_conf_file_(options_.resolv_conf_path, options_.recheck),
      self_(std::make_shared<Server *>(this)) {
  check_files();
  if (!upstream_) replace_upstream();
}

Server::~Server() {
  closing_ = true;
}

void Server::set_options(Options options) {
  const bool others = options.upstream != options_.upstream || options.tls_upstream != options_.tls_upstream;
  options_ = std::move(options);
  if (others) replace_upstream();
}

void Server::set_names(const std::vector<NamedHost> &hosts) {
  if (std::optional<Name> domain = Name::parse(options_.domain)) names_ = LocalNames(*domain, hosts);
}

const ResolvConf &Server::resolv_conf() {
  check_files();
  return resolv_conf_;
}

void Server::query(Bytes message, Transport transport, uint32_t client, Done done) {
  counters_.dns_queries++;
  std::variant<Query, BadQuery> parsed = parse_query(message);
  if (const BadQuery *bad = std::get_if<BadQuery>(&parsed)) {
    if (bad->code == Code::FormErr) counters_.drop(DropReason::dns_malformed);
    if (!bad->answerable) return done({});
    return done(make_refusal(*bad));
  }
  Asker asker{std::get<Query>(std::move(parsed)), transport, client, std::move(done)};
  const Query &query = asker.query;

  check_files();
  // RFC 6891 section 6.1.3: a version that we do not know.
  if (query.edns && query.edns->version != 0) return asker.tell(Answer(query.question, Code::BADVERS));
  // Zone transfers are streams of messages between servers of a zone.
  if (query.question.is(Type::AXFR) || query.question.is(Type::IXFR)) {
    return asker.tell(Answer(query.question, Code::NotImp));
  }
  if (std::optional<Answer> answer = local_answer(query.question)) return asker.tell(*answer);

  std::string key = Cache::key(query);
  if (std::optional<Cache::Found> found = cache_.find(key, loop_.now())) return asker.tell(*found->answer, found->age);

  if (!admit(client)) {
    counters_.drop(DropReason::dns_limit);
    return asker.tell(Answer(query.question, Code::ServFail));
  }
  auto [under_way, is_new] = lookups_.try_emplace(key);
  if (!is_new) {
    under_way->second->askers.push_back(std::move(asker));
    return;
  }
  auto lookup = under_way->second = std::make_shared<Lookup>();
  lookup->query = query;
  lookup->key = std::move(key);
  lookup->askers.push_back(std::move(asker));
  ask_upstream(std::move(lookup));
}

bool Server::admit(uint32_t client) {
  auto of_client = in_flight_of_client_.find(client);
  size_t already = of_client == in_flight_of_client_.end() ? 0 : of_client->second;
  size_t room = in_flight_ < kShared ? std::min(kMostInFlightPerClient, kShared - in_flight_) : 0;
  bool full = in_flight_ >= kMostInFlight || already >= std::max(room, kAFew);
  if (full) return false;  // lesson: dns-in-flight-bounded
  in_flight_++;
  in_flight_of_client_[client]++;
  return true;
}

void Server::leave(uint32_t client) {
  in_flight_--;
  if (auto of_client = in_flight_of_client_.find(client); --of_client->second == 0) {
    in_flight_of_client_.erase(of_client);
  }
}

bool Server::begin_stream(uint32_t client) {
  const auto of_client = streams_of_client_.find(client);
  const size_t already = of_client == streams_of_client_.end() ? 0 : of_client->second;
  if (streams_ >= kMostStreams || already >= kMostStreamsPerClient) {  // lesson: dns-streams-bounded
    counters_.drop(DropReason::dns_limit);
    return false;
  }
  streams_++;
  streams_of_client_[client]++;
  return true;
}

void Server::end_stream(uint32_t client) {
  streams_--;
  if (auto of_client = streams_of_client_.find(client); --of_client->second == 0) streams_of_client_.erase(of_client);
}

std::optional<Answer> Server::local_answer(const Question &question) const {
  if (question.klass != kIn) return std::nullopt;
  // RFC 6761 section 6.3: "localhost" and all below it are loopback, and no other type exists.
  if (question.name.is_within(kLocalhost)) {
    return Answer::of_addresses(question, kLoopback, kLocalTtl);
  }
  if (question.name.is_within(kInvalid)) return Answer(question, Code::NXDomain, true);  // RFC 6761 section 6.4
  if (std::optional<Answer> answer = names_.answer(question, kLocalTtl)) return answer;
  if (asks_for_addresses(question)) {
    // Named for one family: it has no address of the other, as the C library has it.
    if (const std::vector<IpAddress> *known = hosts_.addresses(question.name)) {
      return Answer::of_addresses(question, *known, kLocalTtl);
    }
  }
  if (question.is(Type::PTR)) {
    std::optional<IpAddress> address = question.name.reversed_address();
    const Name *name = address ? hosts_.name(*address) : nullptr;
    if (!name && address && (*address == kLoopback[0] || *address == kLoopback[1])) name = &kLocalhost;
    if (name) return Answer::of_name(question, *name, kLocalTtl);
  }
  return std::nullopt;
}

void Server::ask_upstream(std::shared_ptr<Lookup> lookup) {
  // Built anew: the id is ours, and OPT is between us and the resolver (RFC 6891 section 6.1.1).
  Query query = lookup->query;
  query.id = random_id();
  bool dnssec_ok = query.edns && query.edns->dnssec_ok;
  query.edns.reset();
  if (lookup->edns) query.edns = Edns{kOwnUdpSize, 0, 0, dnssec_ok};
  std::vector<uint8_t> message = make_query(query);
  upstream_->ask(message, [this, lookup](const Upstream::Outcome &outcome) { on_outcome(lookup, outcome); });
}

void Server::on_outcome(const std::shared_ptr<Lookup> &lookup, const Upstream::Outcome &outcome) {
  if (closing_) return;
  // The host's resolvers changed meanwhile: ask the new ones.
  if (outcome.abandoned) return ask_upstream(lookup);

  std::optional<Answer> answer = Answer::of_message(outcome.message, lookup->query.question);
  Code code = answer ? answer->code() : outcome.code;
  if (code == Code::FormErr && lookup->edns) {
    // RFC 6891 section 7: it does not know EDNS.
    lookup->edns = false;
    return ask_upstream(lookup);
  }
  if (!answer) {
    counters_.drop(DropReason::dns_upstream_failed);
    answer.emplace(lookup->query.question, outcome.code);
  }
  // A name of the hosts file exists, whatever the world knows of it: it only has no record of this type.
  const Question &question = lookup->query.question;
  if (answer->code() == Code::NXDomain && question.klass == kIn && hosts_.addresses(question.name)) {
    answer.emplace(question, Code::NoError);
  }
  // Nobody joins any more; who asks from within tell() finds it in the cache, if it may be kept.
  lookups_.erase(lookup->key);
  std::vector<Asker> askers = std::exchange(lookup->askers, {});
  for (const Asker &asker : askers) leave(asker.client);
  cache_.put(lookup->key, *answer, loop_.now());
  for (const Asker &asker : askers) asker.tell(*answer);
}

void Server::check_files() {
  if (std::optional<std::string> text = hosts_file_.changed(loop_.now())) hosts_ = Hosts(*text);
  if (std::optional<std::string> text = resolv_conf_file_.changed(loop_.now())) {
    ResolvConf read(*text);
    if (read == resolv_conf_) return;  // a renewed lease writes the same again
    resolv_conf_ = std::move(read);
    if (options_.upstream.empty() && options_.tls_upstream.empty()) replace_upstream();
  }
}

Task<Result<std::vector<IpAddress>>> Server::resolve_tls_server(std::string name) {
  if (!bootstrap_) {
    Options plain = options_;
    plain.tls_upstream.clear();
    bootstrap_ = std::make_unique<Bootstrap>(loop_, plain);
  }
  return bootstrap_->resolver.resolve(std::move(name));
}

void Server::replace_upstream() {
  // Another network may answer otherwise.
  cache_.clear();
  if (upstream_) {
    retired_.push_back(std::move(upstream_));
    loop_.post([self = std::weak_ptr<Server *>(self_)] {
      // Taken out first: their destruction asks again, through us.
      if (std::shared_ptr<Server *> server = self.lock()) auto gone = std::exchange((*server)->retired_, {});
    });
  }
  if (!options_.tls_upstream.empty()) {
    ResolveHost resolve = [this](std::string name) { return resolve_tls_server(std::move(name)); };
    upstream_ = make_tls_upstream(loop_, options_.tls_upstream, std::move(resolve), dial_);
    return;
  }
  std::vector<std::string> servers = resolv_conf_.servers;
  if (!options_.upstream.empty()) {
    servers.clear();
    for (const Endpoint &endpoint : options_.upstream) servers.push_back(endpoint.to_string());
  }
  upstream_ = make_plain_upstream(loop_, {std::move(servers), options_.timeout, options_.tries});
}

}  // namespace slipgate::dns
