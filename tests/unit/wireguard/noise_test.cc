#include "wireguard/noise.h"

#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "crypto/key_text.h"
#include "support/catch.h"
#include "wireguard/cookie.h"

using namespace slipgate;
using namespace slipgate::wireguard;

namespace {

struct Party {
  Identity us{generate_private_key()};
  RemoteIdentity them;
};

std::pair<Party, Party> two() {
  Party a, b;
  a.them.public_key = b.us.public_key;
  b.them.public_key = a.us.public_key;
  a.them.set_identity(a.us);
  b.them.set_identity(b.us);
  return {a, b};
}

const Tai64n kStamp{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

}  // namespace

TEST_CASE("a handshake gives both sides the same keys, crossed") {
  auto [a, b] = two();
  WireGuardInitiation initiation{};
  WireGuardResponse response{};
  auto pending = create_initiation(a.us, a.them, kStamp, 77, initiation);
  REQUIRE(pending);
  auto opened = open_initiation(b.us, initiation);
  REQUIRE(opened);
  REQUIRE(opened->static_key == a.us.public_key);
  REQUIRE(opened->sender == 77);
  REQUIRE(open_timestamp(*opened, b.them, initiation) == kStamp);
  auto theirs = create_response(*opened, b.them, 88, response);
  REQUIRE(theirs);
  REQUIRE(response.receiver == 77);
  auto ours = open_response(*pending, a.us, a.them, response);
  REQUIRE(ours);
  REQUIRE(ours->send == theirs->receive);
  REQUIRE(ours->receive == theirs->send);
  REQUIRE_FALSE(ours->send == ours->receive);
}

// The initiation opened by hand, from the paper's formulas alone: what another implementation would do.
TEST_CASE("an initiation is what the whitepaper's formulas say") {
  auto [a, b] = two();
  WireGuardInitiation message{};
  REQUIRE(create_initiation(a.us, a.them, kStamp, 1, message));
  std::array<uint8_t, 32> chain = blake2s({bytes_of(std::string_view("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))});
  REQUIRE(to_hex(chain) == "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
  std::array<uint8_t, 32> hash = blake2s({chain, bytes_of(std::string_view("WireGuard v1 zx2c4 Jason@zx2c4.com"))});
  REQUIRE(to_hex(hash) == "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
  hash = blake2s({hash, b.us.public_key});
  Secret<32> c(chain);
  c = kdf<1>(c, message.ephemeral)[0];
  hash = blake2s({hash, message.ephemeral});
  auto keys = kdf<2>(c, x25519(b.us.private_key, message.ephemeral)->bytes());
  auto sealed_static = message.sealed_static;
  REQUIRE(AeadKey(keys[1], AeadEngine::sodium).open(0, sealed_static, hash));
  REQUIRE(std::equal(a.us.public_key.begin(), a.us.public_key.end(), sealed_static.begin()));
  hash = blake2s({hash, message.sealed_static});
  keys = kdf<2>(keys[0], x25519(b.us.private_key, a.us.public_key)->bytes());
  auto sealed_timestamp = message.sealed_timestamp;
  REQUIRE(AeadKey(keys[1], AeadEngine::sodium).open(0, sealed_timestamp, hash));
  REQUIRE(std::equal(kStamp.begin(), kStamp.end(), sealed_timestamp.begin()));

  // mac1 := Mac(Hash(Label-Mac1 || Spub), msg before mac1)
  MacMaker(b.us.public_key).add(MutableBytes(reinterpret_cast<uint8_t *>(&message), sizeof(message)), Time(seconds(1)));
  const auto key = blake2s({bytes_of(std::string_view("mac1----")), b.us.public_key});
  REQUIRE(message.macs.mac1 == blake2s_mac(key, {bytes_of(message).first(116)}));
  REQUIRE(message.macs.mac2 == Mac{});
}

TEST_CASE("one side with another pre-shared key: the response does not open") {
  auto [a, b] = two();
  b.them.preshared_key = generate_private_key();
  WireGuardInitiation initiation{};
  WireGuardResponse response{};
  auto pending = create_initiation(a.us, a.them, kStamp, 77, initiation);
  auto opened = open_initiation(b.us, initiation);
  REQUIRE(open_timestamp(*opened, b.them, initiation));
  REQUIRE(create_response(*opened, b.them, 88, response));
  REQUIRE_FALSE(open_response(*pending, a.us, a.them, response));
  a.them.preshared_key = b.them.preshared_key;
  REQUIRE(open_response(*pending, a.us, a.them, response));
}

TEST_CASE("a changed bit in what is sealed or mixed in: not opened") {
  auto [a, b] = two();
  WireGuardInitiation initiation{};
  WireGuardResponse response{};
  auto pending = create_initiation(a.us, a.them, kStamp, 77, initiation);
  for (size_t byte = 8; byte < 116; byte++) {
    WireGuardInitiation changed = initiation;
    reinterpret_cast<uint8_t *>(&changed)[byte] ^= 4;
    auto opened = open_initiation(b.us, changed);
    if (opened) REQUIRE_FALSE(open_timestamp(*opened, b.them, changed));
  }
  auto opened = open_initiation(b.us, initiation);
  REQUIRE(open_timestamp(*opened, b.them, initiation));
  REQUIRE(create_response(*opened, b.them, 88, response));
  for (size_t byte = 12; byte < 60; byte++) {
    WireGuardResponse changed = response;
    reinterpret_cast<uint8_t *>(&changed)[byte] ^= 4;
    REQUIRE_FALSE(open_response(*pending, a.us, a.them, changed));
  }
  REQUIRE(open_response(*pending, a.us, a.them, response));
}

TEST_CASE("keys of small order, and no key, have no handshake") {
  Party a;
  a.them.public_key = {};
  a.them.set_identity(a.us);
  WireGuardInitiation message{};
  REQUIRE_FALSE(create_initiation(a.us, a.them, kStamp, 1, message));
  auto [c, d] = two();
  REQUIRE(create_initiation(c.us, c.them, kStamp, 1, message));
  message.ephemeral = {};
  REQUIRE_FALSE(open_initiation(d.us, message));
  REQUIRE_FALSE(open_initiation(Identity{Secret<32>()}, message));
}
