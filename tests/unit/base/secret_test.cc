#include "base/secret.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

TEST_CASE("secrets compare by their bytes") {
  std::array<uint8_t, 32> bytes{};
  bytes[31] = 1;
  Secret<32> one{Bytes(bytes)}, zero;
  CHECK_FALSE(one == zero);
  CHECK(one == Secret<32>(one));
  CHECK(zero.is_zero());
  CHECK_FALSE(one.is_zero());
}

TEST_CASE("secret-wiped: a secret leaves nothing in its memory") {
  std::array<uint8_t, 32> bytes;
  bytes.fill(0xaa);
  const uint8_t *memory = nullptr;
  {
    Secret<32> secret{Bytes(bytes)};
    memory = secret.data();
    CHECK(memory[5] == 0xaa);
  }
  CHECK(std::all_of(memory, memory + bytes.size(), [](uint8_t byte) { return byte == 0; }));  // the pool keeps it
  Secret<32> next;
  CHECK(next.is_zero());
}

TEST_CASE("secrets lie in locked memory that core dumps and children do not get") {
  std::array<uint8_t, 32> bytes;
  bytes.fill(0xaa);
  const Secret<32> secret{Bytes(bytes)};
  const Secret<640> large;
  std::ifstream maps("/proc/self/smaps");
  std::string line, flags;
  bool here = false;
  while (flags.empty() && std::getline(maps, line)) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<uintptr_t>(secret.data());
      here = at >= begin && at < end;
    } else if (here && line.starts_with("VmFlags:")) {
      flags = line;
    }
  }
  CHECK(flags.find(" dd") != std::string::npos);  // not in a dump
  CHECK(flags.find(" wf") != std::string::npos);  // wiped on fork
// In the sanitizers' libraries mlock() does nothing.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK((flags.find(" lo") != std::string::npos) == secret_memory_is_locked());
#endif

  const pid_t child = ::fork();
  if (child == 0)
    ::_exit(std::all_of(secret.data(), secret.data() + 32, [](uint8_t byte) { return byte == 0; }) ? 0 : 1);
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(secret == Secret<32>(Bytes(bytes)));
}

TEST_CASE("the limit of locked memory does not keep secrets from being kept") {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_MEMLOCK, &none);
    std::vector<Secret<1024>> many(100);
    many[99].data()[1023] = 1;
    // Root may lock what it wants.
    ::_exit(many[98].is_zero() && !many[99].is_zero() && (::geteuid() == 0 || !secret_memory_is_locked()) ? 0 : 1);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}
