// A small HTTP/1.1 server for GET and HEAD: metrics, health, the status page. Bounded connections and sizes; one answer
// at a time for each connection.
//
// Lives on one loop; the handler is called on it and answers at once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/result.h"
#include "gateway/options.h"
#include "io/loop.h"

namespace slipgate {

struct HttpAnswer {
  int status = 200;
  std::string content_type;
  std::string body;
};

class HttpServer {
 public:
  static constexpr size_t kMostClients = 64;  // the one that was silent the longest makes room for the next
  // The answer to a path; none: 404.
  using Handler = std::function<std::optional<HttpAnswer>(std::string_view path)>;

  static Result<std::unique_ptr<HttpServer>> open(Loop &loop, const ListenAddress &at, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer &) = delete;
  HttpServer &operator=(const HttpServer &) = delete;

  // With the port that the socket really has: "127.0.0.1:9100" or "unix:PATH".
  std::string address() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The answer's head and body to one request's head. `local_only`: the listener is on a loopback address, so requests
// under a foreign name are some web page's that had its name point here (DNS rebinding), and are refused.
std::string answer_http(std::string_view request, bool local_only, const HttpServer::Handler &handler, bool &keep);

}  // namespace slipgate
