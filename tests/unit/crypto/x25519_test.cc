#include "crypto/x25519.h"

#include "crypto/key_text.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

Secret<32> hex_key(std::string_view text) {
  return *key_from_hex(text);
}

}  // namespace

TEST_CASE("X25519 gives the results of RFC 7748 section 5.2") {
  auto shared = x25519(hex_key("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                       public_bytes(hex_key("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")));
  REQUIRE(shared);
  REQUIRE(to_hex(shared->bytes()) == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

TEST_CASE("X25519 repeated a thousand times ends where RFC 7748 section 5.2 says") {
  Secret<32> k;
  k.data()[0] = 9;
  X25519PublicKey u = public_bytes(k);
  for (int i = 1; i <= 1000; i++) {
    const Secret<32> before = k;
    k = *x25519(k, u);
    u = public_bytes(before);
    if (i == 1) REQUIRE(to_hex(k.bytes()) == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
  }
  REQUIRE(to_hex(k.bytes()) == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST_CASE("both sides of X25519 get the same secret") {
  const Secret<32> a = generate_private_key(), b = generate_private_key();
  REQUIRE(x25519(a, public_key_of(b)) == x25519(b, public_key_of(a)));
}

TEST_CASE("a shared secret of all zeros is refused [wg-zero-dh-refused]") {
  // Points of small order: 0, 1, p - 1 and one of order 8.
  for (std::string_view point : {"0000000000000000000000000000000000000000000000000000000000000000",
                                 "0100000000000000000000000000000000000000000000000000000000000000",
                                 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                 "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"}) {
    REQUIRE_FALSE(x25519(generate_private_key(), public_bytes(hex_key(point))));
  }
}

TEST_CASE("generated keys are clamped and differ") {
  const Secret<32> key = generate_private_key();
  REQUIRE((key.data()[0] & 7) == 0);
  REQUIRE((key.data()[31] & 0xc0) == 0x40);
  REQUIRE_FALSE(key == generate_private_key());
}

TEST_CASE("clamping does not change what a key does") {
  Secret<32> key = hex_key("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
  const X25519PublicKey before = public_key_of(key);
  clamp(key);
  REQUIRE(public_key_of(key) == before);
}
