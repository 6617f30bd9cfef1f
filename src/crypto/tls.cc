#include "crypto/tls.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <vector>

#include "base/address.h"
#include "base/read_file.h"

namespace slipgate {

namespace {

// Where distributions keep the certificates of all authorities in one file.
constexpr const char *kSystemAuthorities[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora
    "/etc/ssl/ca-bundle.pem",              // openSUSE
    "/etc/ssl/cert.pem",                   // Alpine
};
constexpr size_t kMostAuthorities = 16 << 20;  // bytes; the files have a quarter of one

std::string last_reason(std::string_view otherwise) {
  uint32_t code = ERR_peek_last_error();
  const char *reason = code ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return reason ? reason : std::string(otherwise);
}

bssl::UniquePtr<BIO> text_of_pem(std::string_view pem) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::vector<bssl::UniquePtr<X509>> read_certificates(std::string_view pem) {
  std::vector<bssl::UniquePtr<X509>> all;
  bssl::UniquePtr<BIO> text = text_of_pem(pem);
  while (X509 *one = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) all.emplace_back(one);
  ERR_clear_error();  // the last says that there is no other
  return all;
}

TlsTransport &transport_of(BIO *bio) {
  return *static_cast<TlsTransport *>(BIO_get_data(bio));
}

int read_bio(BIO *bio, char *room, int size) {
  BIO_clear_retry_flags(bio);
  TlsTransport &transport = transport_of(bio);
  size_t got = transport.read_records({reinterpret_cast<uint8_t *>(room), static_cast<size_t>(size)});
  if (got > 0) return static_cast<int>(got);
  if (transport.ended()) return 0;
  BIO_set_retry_read(bio);
  return -1;
}

int write_bio(BIO *bio, const char *bytes, int size) {
  BIO_clear_retry_flags(bio);
  transport_of(bio).write_records({reinterpret_cast<const uint8_t *>(bytes), static_cast<size_t>(size)});
  return size;
}

long control_bio(BIO *, int command, long, void *) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Made once, never changed.
const BIO_METHOD *transport_method() {
  static const BIO_METHOD *const method = [] {
    BIO_METHOD *made = BIO_meth_new(0, "transport");
    BIO_meth_set_read(made, read_bio);
    BIO_meth_set_write(made, write_bio);
    BIO_meth_set_ctrl(made, control_bio);
    return made;
  }();
  return method;
}

}  // namespace

struct TlsContext::Inside {
  bssl::UniquePtr<SSL_CTX> context{SSL_CTX_new(TLS_method())};
  bool is_server = false;
};

TlsContext::TlsContext(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {
  SSL_CTX_set_min_proto_version(inside_->context.get(), TLS1_2_VERSION);
}
TlsContext::TlsContext(TlsContext &&) noexcept = default;
TlsContext &TlsContext::operator=(TlsContext &&) noexcept = default;
TlsContext::~TlsContext() = default;

Result<TlsContext> TlsContext::client(std::string_view authorities) {
  std::vector<bssl::UniquePtr<X509>> trusted = read_certificates(authorities);
  if (trusted.empty()) return Error{EINVAL, "no certificate of an authority"};
  auto inside = std::make_unique<Inside>();
  X509_STORE *store = SSL_CTX_get_cert_store(inside->context.get());
  for (const bssl::UniquePtr<X509> &one : trusted) X509_STORE_add_cert(store, one.get());
  SSL_CTX_set_verify(inside->context.get(), SSL_VERIFY_PEER, nullptr);  // lesson: dns-tls-verified
  return TlsContext(std::move(inside));
}

std::vector<std::string> TlsContext::system_authorities() {
  if (const char *chosen = std::getenv("SSL_CERT_FILE")) return {chosen};
  return {std::begin(kSystemAuthorities), std::end(kSystemAuthorities)};
}

Result<TlsContext> TlsContext::client_of_system() {
  const std::vector<std::string> paths = system_authorities();
  for (const std::string &path : paths) {
    Result<std::string> certificates = read_file(path, kMostAuthorities);
    if (!certificates) continue;
    Result<TlsContext> made = client(*certificates);
    if (!made) return Error{made.error().code, fmt::format("{}: {}", path, made.error().text)};
    return made;
  }
  return Error{ENOENT, fmt::format("no certificates of authorities at {} (package ca-certificates?)", paths.front())};
}

Result<TlsContext> TlsContext::server(std::string_view certificates, std::string_view private_key) {
  std::vector<bssl::UniquePtr<X509>> chain = read_certificates(certificates);
  if (chain.empty()) return Error{EINVAL, "no certificate"};
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(text_of_pem(private_key).get(), nullptr, nullptr, nullptr));
  if (!key) return Error{EINVAL, fmt::format("no private key: {}", last_reason("unreadable"))};
  auto inside = std::make_unique<Inside>();
  inside->is_server = true;
  SSL_CTX *context = inside->context.get();
  bool good = SSL_CTX_use_certificate(context, chain[0].get()) && SSL_CTX_use_PrivateKey(context, key.get());
  if (!good) return Error{EINVAL, fmt::format("certificate and key: {}", last_reason("do not fit"))};
  for (size_t i = 1; i < chain.size(); i++) SSL_CTX_add1_chain_cert(context, chain[i].get());
  return TlsContext(std::move(inside));
}

struct TlsSession::Inside {
  bssl::UniquePtr<SSL> ssl;
};

TlsSession::TlsSession(const TlsContext &context, TlsTransport &transport, const std::string &peer)
    : inside_(std::make_unique<Inside>()) {
  inside_->ssl.reset(SSL_new(context.inside_->context.get()));
  SSL *ssl = inside_->ssl.get();
  BIO *bio = BIO_new(transport_method());
  BIO_set_data(bio, &transport);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  if (context.inside_->is_server) {
    SSL_set_accept_state(ssl);
    return;
  }
  SSL_set_connect_state(ssl);
  bool named;
  X509_VERIFY_PARAM *wanted = SSL_get0_param(ssl);
  if (IpAddress::parse(peer)) {
    named = X509_VERIFY_PARAM_set1_ip_asc(wanted, peer.c_str());  // RFC 6066 section 3: no server name then
  } else {
    // Names stand in the certificate's list of names, nowhere else (RFC 6125 section 6.4.4).
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    named = !peer.empty() && X509_VERIFY_PARAM_set1_host(wanted, peer.data(), peer.size()) &&
            SSL_set_tlsext_host_name(ssl, peer.c_str());
  }
  if (named) return;
  state_ = State::failed;  // lesson: tls-peer-named
  error_ = fmt::format("'{}' is no name that a certificate could have", peer);
  ERR_clear_error();
}

TlsSession::~TlsSession() = default;

TlsSession::State TlsSession::handshake() {
  if (state_ != State::handshaking) return state_;
  ERR_clear_error();
  int result = SSL_do_handshake(inside_->ssl.get());
  if (result == 1) {
    state_ = State::open;
  } else {
    settle(result);
  }
  return state_;
}

size_t TlsSession::read(MutableBytes room) {
  if (state_ != State::open || room.empty()) return 0;
  ERR_clear_error();
  int result = SSL_read(inside_->ssl.get(), room.data(), static_cast<int>(room.size()));
  if (result > 0) return static_cast<size_t>(result);
  settle(result);
  return 0;
}

bool TlsSession::write(Bytes bytes) {
  if (state_ == State::handshaking || state_ == State::failed) return false;
  if (bytes.empty()) return true;
  ERR_clear_error();
  int result = SSL_write(inside_->ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (result == static_cast<int>(bytes.size())) return true;
  settle(result);
  return false;
}

void TlsSession::finish() {
  if (state_ == State::handshaking || state_ == State::failed) return;
  ERR_clear_error();
  SSL_shutdown(inside_->ssl.get());
  ERR_clear_error();
}

// What a call that moved nothing means.
void TlsSession::settle(int result) {
  switch (SSL_get_error(inside_->ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::ended;
      return;
    default:
      break;
  }
  // The connection's end without the peer's word for it: what was sent may be incomplete (RFC 8446 section 6.1).
  long verified = SSL_get_verify_result(inside_->ssl.get());
  bool about_certificate = state_ == State::handshaking && verified != X509_V_OK;
  state_ = State::failed;
  error_ = last_reason("the connection was cut");
  if (about_certificate) error_ = fmt::format("certificate: {}", X509_verify_cert_error_string(verified));
}

}  // namespace slipgate
