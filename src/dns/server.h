// The DNS server of the gateway: what a client asks is answered from the host's hosts file, from the cache, or by the
// host's resolvers.
//
// In this order: names that never leave a machine (RFC 6761), peers' names (local_names.h), A, AAAA and PTR from the
// hosts file, the cache, upstream.
// Records of every type pass unchanged; only what is hop by hop (id, OPT, size limits) is each side's own. The server
// is the same for a datagram and for a stream (serve_stream.h); names for our own use come from resolver.h.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/counters.h"
#include "dns/answer.h"
#include "dns/cache.h"
#include "dns/host_files.h"
#include "dns/local_names.h"
#include "dns/options.h"
#include "dns/upstream.h"
#include "io/loop.h"
#include "wire/dns.h"

namespace slipgate::dns {

enum class Transport : uint8_t { udp, tcp };

class Server {
 public:
  // Questions that wait for an upstream: more are refused with SERVFAIL, and counted (dns_limit). No client has more of
  // them than there is room left for others; the last quarter is for those who have only a few, so that however many
  // flood, who asks little is let in.
  static constexpr size_t kMostInFlight = 4096;
  static constexpr size_t kMostInFlightPerClient = 1024;
  static constexpr size_t kShared = kMostInFlight / 4 * 3;
  static constexpr size_t kAFew = 8;
  // Streams that are served, each of which may hold answers that its client does not take.
  static constexpr size_t kMostStreams = 1024;
  static constexpr size_t kMostStreamsPerClient = 64;
  // What is ours to say (hosts, localhost) may change at any time.
  static constexpr uint32_t kLocalTtl = 30;

  // `answer` is valid during the call; empty: this message gets no answer. Must not destroy the server.
  using Done = std::function<void(Bytes answer)>;

  // `dial` makes connections to `options.tls_upstream`.
  Server(Loop &loop, Counters &counters, Options options, DialStream dial = {});
  ~Server();  // what waits is never called
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  // Calls `done` once: from within this call when the answer is at hand, else when it comes. `client` is
  // Packet::client.
  void query(Bytes message, Transport transport, uint32_t client, Done done);

  // Other servers, another domain: standing questions are answered by those that they were put to. The domain's names
  // are to be set again.
  void set_options(Options options);
  // Whom the options' domain holds from now on.
  void set_names(const std::vector<NamedHost> &hosts);

  size_t in_flight() const { return in_flight_; }
  // For serve_stream(): begin_stream() false: there are too many, and that is counted.
  bool begin_stream(uint32_t client);
  void end_stream(uint32_t client);
  // How the host completes short names; for who asks in the host's stead.
  const ResolvConf &resolv_conf();

 private:
  struct Asker;
  struct Lookup;
  struct Bootstrap;

  std::optional<Answer> local_answer(const Question &question) const;
  bool admit(uint32_t client);
  void leave(uint32_t client);
  void ask_upstream(std::shared_ptr<Lookup> lookup);
  void on_outcome(const std::shared_ptr<Lookup> &lookup, const Upstream::Outcome &outcome);
  void check_files();
  void replace_upstream();
  Task<Result<std::vector<IpAddress>>> resolve_tls_server(std::string name);

  Loop &loop_;
  Counters &counters_;
  Options options_;
  const DialStream dial_;
  WatchedFile hosts_file_;
  WatchedFile resolv_conf_file_;
  Hosts hosts_;
  ResolvConf resolv_conf_;
  LocalNames names_;
  Cache cache_;
  // Under way, by their key in the cache: who asks the same joins in (RFC 5452 section 5: a liar has one id to guess,
  // not one of many).
  std::unordered_map<std::string, std::shared_ptr<Lookup>> lookups_;
  size_t in_flight_ = 0;
  std::unordered_map<uint32_t, size_t> in_flight_of_client_;
  size_t streams_ = 0;
  std::unordered_map<uint32_t, size_t> streams_of_client_;
  bool closing_ = false;
  std::unique_ptr<Bootstrap> bootstrap_;
  std::unique_ptr<Upstream> upstream_;
  // Predecessors, whose servers are not the host's any more: they go when nothing of theirs is on the call stack.
  std::vector<std::unique_ptr<Upstream>> retired_;
  std::shared_ptr<Server *> self_;  // what posted work looks through: empty when we are gone
};

}  // namespace slipgate::dns
