#include "control/http_server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "control/control_socket.h"
#include "control/session_server.h"
#include "io/socket_address.h"
#include "wire/http_head.h"

namespace slipgate {
namespace {

constexpr int kBacklog = 64;

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 421:
      return "Misdirected Request";
    default:
      return "Service Unavailable";
  }
}

// "127.0.0.1:9100", "[::1]", "localhost:9100": nobody's name but ours.
bool names_us(std::string_view host) {
  if (host.starts_with('[')) return IpAddress::parse(host.substr(1, host.find(']') - 1)).has_value();
  host = host.substr(0, host.rfind(':'));
  return host == "localhost" || IpAddress::parse(host).has_value();
}

HttpAnswer error(int status, std::string_view text) {
  return {status, "text/plain; charset=utf-8", fmt::format("{}\n", text)};
}

HttpAnswer answer_to(const HttpRequest &request, bool local_only, const HttpServer::Handler &handler) {
  if (request.state != HttpRequest::State::complete) return error(400, "not an HTTP request");
  if (request.method != "GET" && request.method != "HEAD") return error(405, "only GET and HEAD");
  const std::string_view host = request.field("Host");
  if (local_only && !host.empty() && !names_us(host)) {  // lesson: metrics-foreign-host
    return error(421, "this is served under its address or as localhost only");
  }
  std::optional<HttpAnswer> answer = handler(request.path());
  return answer ? *std::move(answer) : error(404, "nothing here; see /, /metrics and /healthz");
}

// A connection: one head after the other.
class HttpSession final : public Session {
 public:
  HttpSession(bool local_only, const HttpServer::Handler &handler) : local_only_(local_only), handler_(handler) {}

  Taken take(std::string_view input, std::string &answer) override {
    const HttpRequest request = parse_http_request(input);
    if (request.state == HttpRequest::State::incomplete) return {};
    bool keep = false;
    answer = answer_http(input, local_only_, handler_, keep);
    return {.bytes = keep ? request.size : input.size(), .then = keep ? Then::more : Then::close};
  }

 private:
  const bool local_only_;
  const HttpServer::Handler &handler_;
};

Result<Fd> listen_tcp(const Endpoint &at) {
  auto failed = [&] { return Error::from_errno(errno, fmt::format("--metrics {}", at.to_string())); };
  const int family = at.address.is_v4() ? AF_INET : AF_INET6;
  Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return failed();
  const int on = 1, single = at.address.is_unspecified() ? 0 : 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &single, sizeof(single));
  SocketAddress address(at, family);
  if (::bind(socket.get(), &address.generic, address.size) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    return failed();
  }
  return socket;
}

}  // namespace

std::string answer_http(std::string_view text, bool local_only, const HttpServer::Handler &handler, bool &keep) {
  const HttpRequest request = parse_http_request(text);
  const HttpAnswer answer = answer_to(request, local_only, handler);
  keep = request.keep_alive && !request.has_body && answer.status != 400;
  std::string reply = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: {}\r\n"
      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
      "Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'; connect-src 'self'\r\n\r\n",
      answer.status, reason_of(answer.status), answer.content_type, answer.body.size(),
      answer.status == 405 ? "Allow: GET, HEAD\r\n" : "", keep ? "keep-alive" : "close");
  if (request.method != "HEAD") reply += answer.body;
  return reply;
}

struct HttpServer::State {
  std::optional<ControlListener> file;  // a Unix socket
  Fd tcp;
  Handler handler;
  std::unique_ptr<SessionServer> server;
};

Result<std::unique_ptr<HttpServer>> HttpServer::open(Loop &loop, const ListenAddress &at, Handler handler) {
  auto state = std::make_unique<State>();
  state->handler = std::move(handler);
  bool local_only = false;
  if (at.endpoint) {
    Result<Fd> socket = listen_tcp(*at.endpoint);
    if (!socket) return socket.error();
    state->tcp = std::move(*socket);
    local_only = at.endpoint->address.is_loopback();
  } else {
    Result<ControlListener> file = ControlListener::open(at.path);
    if (!file) return Error::from_errno(file.error().code, fmt::format("--metrics unix:{}", at.path));
    state->file.emplace(std::move(*file));
  }
  Result<std::unique_ptr<SessionServer>> server = SessionServer::open(
      loop, state->file ? state->file->descriptor() : state->tcp.get(),
      {.clients = kMostClients, .input = kMostHttpHeadBytes, .read_at_once = 4 << 10},
      [local_only, &handles = state->handler] { return std::make_unique<HttpSession>(local_only, handles); });
  if (!server) return server.error();
  state->server = std::move(*server);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() = default;

std::string HttpServer::address() const {
  return state_->file ? "unix:" + state_->file->path() : local_endpoint(state_->tcp.get()).to_string();
}

}  // namespace slipgate
