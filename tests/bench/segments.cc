// The stack's path in a form that valgrind can count: segments.sh runs it under callgrind, which collects only inside
// the functions whose names begin with `counted_`.
//
//   segments in|in-single|out|connections COUNT      COUNT segments, or connections; prints how many there were
#include "rig.h"

namespace slipgate::bench {
namespace {

[[gnu::noinline]] void counted_handle(StackRig &rig) {
  rig.handle();
}

// `at_once` segments of one connection in each turn.
size_t in(size_t count, size_t at_once) {
  StackRig rig(1);
  rig.open_all();
  size_t done = 0;
  for (size_t turn = 0; turn < count / at_once + 100; turn++) {
    for (size_t i = 0; i < at_once; i++) rig.add([&](uint8_t *at) { return rig.client.data(0, at); });
    if (turn < 100) {  // buffers grow
      rig.handle();
      continue;
    }
    counted_handle(rig);
    done += at_once;
  }
  if (rig.services.bytes != (count / at_once + 100) * at_once * kPayload) fail("segments were lost");
  return done;
}

size_t out(size_t count) {
  StackRig rig(1, true);
  rig.open_all();
  auto turn = [&](void handle(StackRig &)) {
    rig.acknowledge();
    handle(rig);
  };
  for (int i = 0; i < 100; i++) turn([](StackRig &warming) { warming.handle(); });
  const uint64_t before = rig.client.received();
  uint64_t last = before;
  while (rig.client.received() - before < count * kPayload) {
    turn(counted_handle);
    if (rig.client.received() == last) fail("nothing comes out");
    last = rig.client.received();
  }
  return (rig.client.received() - before) / kPayload;
}

// Handshake, one segment in, its acknowledgment, reset.
size_t connections(size_t count) {
  StackRig rig(1000);
  for (size_t i = 0; i < 100 + count; i++) {
    auto handle = [&] { i < 100 ? rig.handle() : counted_handle(rig); };
    const size_t connection = i % 1000;
    rig.client.forget(connection);
    rig.add([&](uint8_t *at) { return rig.client.syn(connection, at); });
    handle();
    rig.add([&](uint8_t *at) { return rig.client.acknowledgment(connection, at); });
    rig.add([&](uint8_t *at) { return rig.client.data(connection, at); });
    handle();
    rig.add([&](uint8_t *at) { return rig.client.reset(connection, at); });
    handle();
    rig.services.forget_streams();
  }
  if (rig.stack.connections() != 0) fail("connections are left");
  return count;
}

}  // namespace
}  // namespace slipgate::bench

int main(int argc, char **argv) {
  using namespace slipgate::bench;
  if (argc != 3) fail("segments in|in-single|out|connections COUNT");
  const std::string what = argv[1];
  const size_t count = std::stoul(argv[2]);
  size_t done = 0;
  if (what == "in")
    done = in(count, 44);
  else if (what == "in-single")
    done = in(count, 1);
  else if (what == "out")
    done = out(count);
  else if (what == "connections")
    done = connections(count);
  else
    fail("unknown: " + what);
  std::printf("%zu\n", done);
  return 0;
}
