#include "config/name_server.h"

#include <fmt/format.h>

#include "config/values.h"
#include "wire/dns.h"

namespace slipgate {

namespace {

constexpr std::string_view kTls = "tls://";
constexpr uint16_t kPort = 53;
constexpr size_t kMostServers = 8;  // as of resolv.conf

bool is_host(std::string_view text) {
  std::optional<dns::Name> name = dns::Name::parse(text);
  return IpAddress::parse(text) || (name && !name->is_root() && text.find_first_of(":/@ ") == std::string_view::npos);
}

Result<dns::TlsServer> parse_tls_server(std::string_view text) {
  dns::TlsServer server;
  size_t hash = text.find('#');
  std::string_view host = text.substr(0, hash);
  std::string_view port;
  if (host.starts_with('[')) {
    size_t close = host.find(']');
    if (close == std::string_view::npos) return Error{0, "'[' without ']'"};
    port = host.substr(close + 1);
    host = host.substr(1, close - 1);
  } else if (size_t colon = host.find(':'); colon != std::string_view::npos && !IpAddress::parse(host)) {
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (!is_host(host)) return Error{0, fmt::format("'{}' is neither a name nor an address", host)};
  if (!port.empty()) {
    if (port[0] != ':') return Error{0, fmt::format("'{}' is no port", port)};
    Result<uint64_t> number = parse_number(port.substr(1), 1, UINT16_MAX);
    if (!number) return Error{0, fmt::format("port {}", number.error().text)};
    server.port = static_cast<uint16_t>(*number);
  }
  server.host = host;
  server.name = hash == std::string_view::npos ? host : text.substr(hash + 1);
  if (!is_host(server.name)) return Error{0, fmt::format("'{}' is no name of a certificate", server.name)};
  return server;
}

}  // namespace

Result<void> add_name_server(std::string_view text, dns::Options &options) {
  if (options.upstream.size() + options.tls_upstream.size() >= kMostServers) {
    return Error{0, fmt::format("more than {} name servers", kMostServers)};
  }
  if (text.starts_with(kTls)) {
    Result<dns::TlsServer> server = parse_tls_server(text.substr(kTls.size()));
    if (!server) return server.error();
    options.tls_upstream.push_back(std::move(*server));
  } else {
    Result<Endpoint> server = parse_endpoint_or_address(text, kPort);
    if (!server) return Error{0, "not IP, IP:PORT or tls://HOST[:PORT][#NAME]"};
    options.upstream.push_back(*server);
  }
  if (!options.upstream.empty() && !options.tls_upstream.empty()) {
    return Error{0, "plain and TLS name servers do not mix: questions would leave unencrypted after all"};
  }
  return {};
}

}  // namespace slipgate
