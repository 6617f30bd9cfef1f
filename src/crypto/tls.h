// TLS 1.2 and 1.3 (RFC 8446) as a machine over somebody else's bytes: it reads and writes records through a transport,
// and never waits.
//
// A context lives longer than its sessions; sessions of one context live on one shard.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace slipgate {

class TlsContext {
 public:
  // A client that trusts the authorities in these certificates (PEM).
  static Result<TlsContext> client(std::string_view authorities);
  // One that trusts whom the system trusts: the file named by SSL_CERT_FILE, else the distribution's.
  static Result<TlsContext> client_of_system();
  // The files that client_of_system() looks for, the first that is there counts.
  static std::vector<std::string> system_authorities();
  // A server: its certificate, those that lead to an authority behind it, and its private key (PEM).
  static Result<TlsContext> server(std::string_view certificates, std::string_view private_key);

  TlsContext(TlsContext &&) noexcept;
  TlsContext &operator=(TlsContext &&) noexcept;
  ~TlsContext();

 private:
  friend class TlsSession;
  struct Inside;
  explicit TlsContext(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

// What carries the records.
class TlsTransport {
 public:
  // So many of the bytes that arrived, at most all of `room`; 0: none now, or never again (see ended()).
  virtual size_t read_records(MutableBytes room) = 0;
  // Whether the last read_records() brought nothing because nothing will ever come.
  virtual bool ended() const = 0;
  // Takes all of them, always: whoever writes to the session looks first how much waits here.
  virtual void write_records(Bytes records) = 0;

 protected:
  ~TlsTransport() = default;
};

class TlsSession {
 public:
  enum class State {
    handshaking,
    open,
    ended,   // the peer has finished (close_notify)
    failed,  // why: error()
  };

  // The context's side of a connection; `transport` outlives it. A client wants a certificate for `peer`, a name or an
  // address (RFC 6125 section 6, RFC 8310 section 8.1); a server gives "".
  TlsSession(const TlsContext &context, TlsTransport &transport, const std::string &peer);
  ~TlsSession();
  TlsSession(const TlsSession &) = delete;
  TlsSession &operator=(const TlsSession &) = delete;

  State state() const { return state_; }
  const std::string &error() const { return error_; }

  // Goes on with what arrived; call until the state is `open`.
  State handshake();
  // Bytes of the peer; 0: none now, or see state().
  size_t read(MutableBytes room);
  // Sends all of them.
  bool write(Bytes bytes);
  // Says that no more bytes will be written.
  void finish();

 private:
  struct Inside;
  void settle(int result);

  std::unique_ptr<Inside> inside_;
  State state_ = State::handshaking;
  std::string error_;
};

}  // namespace slipgate
