#include "crypto/key_text.h"

#include "crypto/compare.h"
#include "crypto/x25519.h"
#include "support/catch.h"

using namespace slipgate;

TEST_CASE("a key goes through base64 and hexadecimal and back") {
  const Secret<32> key = generate_private_key();
  const std::string base64 = to_base64(key.bytes());
  REQUIRE(base64.size() == 44);
  REQUIRE(base64.back() == '=');
  REQUIRE(key_from_base64(base64) == key);
  const std::string hex = to_hex(key.bytes());
  REQUIRE(hex.size() == 64);
  REQUIRE(key_from_hex(hex) == key);
}

TEST_CASE("what is not exactly one key is no key") {
  const std::string good = to_base64(generate_private_key().bytes());
  for (std::string bad : {std::string(), good.substr(1), good + "=", good.substr(0, 43), " " + good.substr(1),
                          good.substr(0, 42) + "==", std::string(44, '='), std::string(43, 'A') + "\n"}) {
    INFO(bad);
    REQUIRE_FALSE(key_from_base64(bad));
  }
  // 43 characters carry 258 bits; the last two must be zero, else two texts would stand for one key.
  REQUIRE(key_from_base64(std::string(43, 'A') + "="));
  REQUIRE_FALSE(key_from_base64(std::string(42, 'A') + "B="));
  REQUIRE_FALSE(key_from_hex(std::string(63, '0')));
  REQUIRE_FALSE(key_from_hex(std::string(63, '0') + "g"));
  REQUIRE(key_from_hex(std::string(64, 'F')));
}

TEST_CASE("comparison in constant time compares everything [wg-constant-time-compare]") {
  const Secret<32> a = generate_private_key();
  for (size_t i = 0; i < 32; i++) {
    Secret<32> b = a;
    b.data()[i] ^= 1;
    REQUIRE_FALSE(equal_in_constant_time(a.bytes(), b.bytes()));
    REQUIRE_FALSE(a == b);
  }
  REQUIRE(equal_in_constant_time(a.bytes(), a.bytes()));
  REQUIRE_FALSE(equal_in_constant_time(a.bytes(), a.bytes().first(31)));
}
