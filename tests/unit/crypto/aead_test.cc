#include "crypto/aead.h"

#include <algorithm>
#include <array>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "crypto/ipsec_mb.h"
#include "crypto/key_text.h"
#include "crypto/random.h"
#include "crypto/x25519.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

std::vector<uint8_t> unhex(std::string_view text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  return bytes;
}

// All that this machine has.
std::vector<AeadEngine> engines() {
  std::vector<AeadEngine> all = {AeadEngine::sodium, AeadEngine::boringssl};
  if (ipsec_mb::available()) all.push_back(AeadEngine::ipsec_mb);
  return all;
}

}  // namespace

TEST_CASE("ChaCha20-Poly1305 opens and seals the message of RFC 8439 appendix A.5") {
  const Secret<32> key = *key_from_hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
  const std::vector<uint8_t> sealed = unhex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100"
      "d4f03b7f"
      "355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b"
      "6a7c02b0"
      "f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a"
      "0d072b04"
      "b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff"
      "77987130"
      "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");
  const std::vector<uint8_t> additional = unhex("f33388860000000000004e91");
  const uint64_t counter = 0x0807060504030201;  // the nonce's last 8 bytes are 01 02 … 08
  for (AeadEngine engine : engines()) {
    const AeadKey aead(key, engine);
    std::vector<uint8_t> message = sealed;
    REQUIRE(aead.open(counter, message, additional));
    REQUIRE(text_of(message).substr(0, 15) == "Internet-Drafts");
    aead.seal(counter, message, additional);
    REQUIRE(message == sealed);
  }
}

TEST_CASE("XChaCha20-Poly1305 seals and opens the message of draft-irtf-cfrg-xchacha-03 appendix A.3.1") {
  const Secret<32> key = *key_from_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  XNonce nonce;
  for (uint8_t i = 0; i < 24; i++) nonce[i] = 0x40 + i;
  const std::vector<uint8_t> additional = unhex("50515253c0c1c2c3c4c5c6c7");
  const std::string_view plain =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be "
      "it.";
  const std::vector<uint8_t> sealed = unhex(
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216"
      "cb96b72e"
      "1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e"
      "c0875924c1c7987947deafd8780acf49");
  std::vector<uint8_t> message(plain.begin(), plain.end());
  message.resize(plain.size() + kAeadTag);
  xaead_seal(key, nonce, message, additional);
  REQUIRE(message == sealed);
  REQUIRE(xaead_open(key, nonce, message, additional));
  REQUIRE(text_of(message).substr(0, plain.size()) == plain);
  message = sealed;
  message[3] ^= 1;
  REQUIRE_FALSE(xaead_open(key, nonce, message, additional));
}

TEST_CASE("all libraries give the same, for every length up to two packets") {
  const Secret<32> key = generate_private_key();
  const AeadKey sodium(key, AeadEngine::sodium);
  for (AeadEngine engine : engines()) {
    const AeadKey other(key, engine);
    for (size_t size = 0; size < 3000; size += size < 300 ? 1 : 37) {
      std::vector<uint8_t> plain(size + kAeadTag), additional(size % 40);
      fill_random(MutableBytes(plain).first(size));
      fill_random(additional);
      std::vector<uint8_t> a = plain, b = plain;
      other.seal(size, a, additional);
      sodium.seal(size, b, additional);
      REQUIRE(a == b);
      REQUIRE(sodium.open(size, a, additional));
      REQUIRE(other.open(size, b, additional));
      REQUIRE(std::equal(plain.begin(), plain.end() - kAeadTag, a.begin()));
      REQUIRE(std::equal(plain.begin(), plain.end() - kAeadTag, b.begin()));
    }
  }
}

TEST_CASE("threads seal and open with one key at once") {
  const Secret<32> key = generate_private_key();
  for (AeadEngine engine : engines()) {
    const AeadKey aead(key, engine);
    std::array<bool, 4> good{};
    std::vector<std::thread> threads;
    for (size_t number = 0; number < good.size(); number++) {
      threads.emplace_back([&, number] {
        bool all = true;
        for (uint64_t i = 0; i < 2000; i++) {
          std::vector<uint8_t> message(i % 1500 + kAeadTag, static_cast<uint8_t>(number));
          aead.seal(i, message);
          all &= aead.open(i, message) && std::all_of(message.begin(), message.end() - kAeadTag,
                                                      [number](uint8_t byte) { return byte == number; });
        }
        good[number] = all;
      });
    }
    for (std::thread &thread : threads) thread.join();
    REQUIRE(good == std::array<bool, 4>{true, true, true, true});
  }
}

TEST_CASE("the fastest of what is there is chosen") {
  REQUIRE(best_aead_engine() == (ipsec_mb::available() ? AeadEngine::ipsec_mb : AeadEngine::boringssl));
}

TEST_CASE("a changed bit anywhere, another counter or other additional data: not opened") {
  const Secret<32> key = generate_private_key();
  for (AeadEngine engine : engines()) {
    const AeadKey aead(key, engine);
    for (size_t size : {64, 1280}) {
      std::vector<uint8_t> sealed(size + kAeadTag);
      aead.seal(5, sealed);
      for (size_t bit = 0; bit < sealed.size() * 8; bit++) {
        std::vector<uint8_t> changed = sealed;
        changed[bit / 8] ^= 1 << bit % 8;
        REQUIRE_FALSE(aead.open(5, changed));
      }
      std::vector<uint8_t> copy = sealed;
      REQUIRE_FALSE(aead.open(6, copy));
      copy = sealed;
      REQUIRE_FALSE(aead.open(5, copy, bytes_of(std::string_view("x"))));
      REQUIRE_FALSE(aead.open(5, MutableBytes(copy).first(15)));
      REQUIRE_FALSE(aead.open(5, {}));
    }
  }
}

TEST_CASE("the whole 64 bits of the counter are in the nonce [wg-nonce-64-bit]") {
  const AeadKey aead(generate_private_key());
  std::vector<uint8_t> low(32), high(32);
  aead.seal(5, low);
  aead.seal(5 + (uint64_t{1} << 32), high);
  REQUIRE(low != high);
  REQUIRE_FALSE(aead.open(5, high));
}

TEST_CASE("keys are gone from memory when their owner is [wg-secrets-wiped]") {
  const Secret<32> key = generate_private_key();
  for (AeadEngine engine : engines()) {
    // What is given back is what the next of its size gets.
    const bool context = engine == AeadEngine::boringssl;
    const size_t size = context ? AeadKey::kContextBytes : Secret<32>::kSize;
    const uint8_t *memory = context ? Secret<AeadKey::kContextBytes>().data() : Secret<32>().data();
    // The first half is enough: libraries keep keys in words, in whatever order.
    auto holds_key = [&] {
      asm volatile("" : : "r"(memory) : "memory");
      const uint8_t *end = memory + size;
      return std::search(memory, end, key.data(), key.data() + 16) != end;
    };
    {
      const AeadKey aead(key, engine);
      REQUIRE(holds_key());
    }
    REQUIRE_FALSE(holds_key());
  }
}
