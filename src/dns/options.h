// What the DNS server is made from: values only.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace slipgate::dns {

struct Options {
  std::string hosts_path = "/etc/hosts";
  std::string resolv_conf_path = "/etc/resolv.conf";
  std::vector<Endpoint> upstream;         // ask these, whatever resolv.conf says
  std::string domain;                     // of the names that Server::set_names() is told; empty: none
  Duration recheck = seconds(1);          // look no more often whether the two files changed
  Duration timeout = milliseconds(1500);  // of the first try at a resolver; later ones wait longer
  int tries = 3;                          // at each resolver
};

}  // namespace slipgate::dns
