// What the DNS server is made from: values only.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace slipgate::dns {

// A name server that is asked by TLS (RFC 7858).
struct TlsServer {
  std::string host;     // an address, or a name that the host's own resolvers know
  uint16_t port = 853;  // RFC 7858 section 3.1
  std::string name;     // whose certificate it must have: a name or an address

  bool operator==(const TlsServer &) const = default;
};

struct Options {
  std::string hosts_path = "/etc/hosts";
  std::string resolv_conf_path = "/etc/resolv.conf";
  std::vector<Endpoint> upstream;         // ask these, whatever resolv.conf says
  std::vector<TlsServer> tls_upstream;    // ask these and nobody else, whatever the others say
  std::string domain;                     // of the names that Server::set_names() is told; empty: none
  Duration recheck = seconds(1);          // look no more often whether the two files changed
  Duration timeout = milliseconds(1500);  // of the first try at a resolver; later ones wait longer
  int tries = 3;                          // at each resolver
};

}  // namespace slipgate::dns
