#include "crypto/blake2s.h"

#include "crypto/key_text.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

Secret<32> counting_key() {
  Secret<32> key;
  for (uint8_t i = 0; i < 32; i++) key.data()[i] = i;
  return key;
}

}  // namespace

TEST_CASE("BLAKE2s of abc is RFC 7693's, however it is cut into parts") {
  const std::string expected = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982";
  REQUIRE(to_hex(blake2s({bytes_of(std::string_view("abc"))})) == expected);
  REQUIRE(to_hex(blake2s({bytes_of(std::string_view("a")), {}, bytes_of(std::string_view("bc"))})) == expected);
}

TEST_CASE("keyed BLAKE2s gives the reference implementation's values") {
  const Secret<32> key = counting_key();
  REQUIRE(to_hex(blake2s_mac32(key.bytes(), {})) == "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49");
  REQUIRE(to_hex(blake2s_mac(key.bytes(), {bytes_of(std::string_view("message"))})) ==
          "2b75eb9c63ca8524ff53d01905b406eb");
}

TEST_CASE("HMAC and the key derivation agree with Python's hmac over hashlib.blake2s") {
  const Secret<32> key = counting_key();
  const Bytes input = bytes_of(std::string_view("input of the key derivation"));
  REQUIRE(to_hex(hmac_blake2s(key.bytes(), {input}).bytes()) ==
          "8c74480a238f1e59e8cecb2eda1507b1992302db5bb3c4e536e339bb113bcbf4");
  const auto keys = kdf<3>(key, input);
  REQUIRE(to_hex(keys[0].bytes()) == "02ec72e39fdf042afee81f73a9846e743db15f89c93c4983793bdf07dea9d0ba");
  REQUIRE(to_hex(keys[1].bytes()) == "e2c76e7059ffcdb87a013186acdd23a1f758c1901a8d329fb27f20365dd41d30");
  REQUIRE(to_hex(keys[2].bytes()) == "0aedde6be795744c5aa212d7d799d899addf38c6f877c937877e0567e2ab1528");
  REQUIRE(kdf<1>(key, input)[0] == keys[0]);
  REQUIRE(kdf<2>(key, input)[1] == keys[1]);
}
