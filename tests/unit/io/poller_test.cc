#include "io/poller.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "io/fd.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

struct Watched final : Pollable {
  explicit Watched(Loop &owner) : loop(owner) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) throw std::runtime_error("socketpair");
    mine = Fd(pair[0]);
    theirs = Fd(pair[1]);
    if (!loop.poller().add(mine.get(), *this)) throw std::runtime_error("add");
  }
  ~Watched() { loop.poller().remove(mine.get(), *this); }
  void on_events(uint32_t events) override {
    calls++;
    seen |= events;
    if (auto copy = then) copy();  // which may destroy this
  }
  void poke() { REQUIRE(::send(theirs.get(), "x", 1, 0) == 1); }

  Loop &loop;
  Fd mine, theirs;
  int calls = 0;
  uint32_t seen = 0;
  std::function<void()> then;
};

}  // namespace

TEST_CASE("poller: an edge is told once") {
  Loop loop;
  Watched one(loop);
  test::run_ready(loop);
  CHECK(one.calls == 1);  // writable
  one.poke();
  REQUIRE(test::run_until(loop, [&] { return (one.seen & EPOLLIN) != 0; }));
  int calls = one.calls;
  test::run_ready(loop);
  CHECK(one.calls == calls);
}

TEST_CASE("poller: rearm() tells what is still ready") {
  Loop loop;
  Watched one(loop);
  one.poke();
  test::run_ready(loop);
  int calls = one.calls;
  loop.poller().rearm(one.mine.get(), one);
  test::run_ready(loop);
  CHECK(one.calls == calls + 1);
}

TEST_CASE("poller: what was removed is told nothing any more, even in the same batch [host-removed-not-told]") {
  Loop loop;
  auto one = std::make_unique<Watched>(loop);
  auto two = std::make_unique<Watched>(loop);
  test::run_ready(loop);
  // Whichever comes first removes the other, whose event is in the same batch; its memory stays so that a call would
  // show.
  int told_after_removal = 0;
  bool removed = false;
  auto remove = [&](Watched &other) {
    return [&] {
      if (removed) {
        told_after_removal++;
        return;
      }
      removed = true;
      loop.poller().remove(other.mine.get(), other);
    };
  };
  one->then = remove(*two);
  two->then = remove(*one);
  one->poke();
  two->poke();
  test::run_ready(loop);
  CHECK(removed);
  CHECK(told_after_removal == 0);
}

TEST_CASE("poller: a socket may destroy itself and others while it is told") {
  Loop loop;
  std::vector<std::unique_ptr<Watched>> all;
  for (int i = 0; i < 300; i++) all.push_back(std::make_unique<Watched>(loop));
  test::run_ready(loop);
  for (auto &one : all) {
    one->then = [&all] { all.clear(); };
    one->poke();
  }
  test::run_ready(loop);
  CHECK(all.empty());
}

TEST_CASE("poller: more ready sockets than a batch holds are all told") {
  Loop loop;
  std::vector<std::unique_ptr<Watched>> all;
  for (int i = 0; i < 600; i++) all.push_back(std::make_unique<Watched>(loop));
  CHECK(test::run_until(loop,
                        [&] { return std::all_of(all.begin(), all.end(), [](auto &one) { return one->calls > 0; }); }));
}

}  // namespace slipgate
