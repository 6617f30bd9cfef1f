#include "gateway/shard_threads.h"

#include <system_error>

#include "io/signals.h"

namespace slipgate {

ShardThreads::ShardThreads(uint32_t count) : stopped_(count + 1) {}

Result<std::unique_ptr<ShardThreads>> ShardThreads::start(uint32_t count, Open open) {
  std::unique_ptr<ShardThreads> threads(new ShardThreads(count));
  std::vector<GatewayShard *> shards;
  Result<void> opened;
  for (uint32_t number = 0; number < count && opened; number++) {
    const SignalsHeld held;
    Worker &worker = *threads->workers_.emplace_back(std::make_unique<Worker>());
    try {
      worker.thread = std::thread([&threads = *threads, &worker, number, open] { threads.run(worker, number, open); });
      opened = worker.opened.get_future().get();
    } catch (const std::system_error &error) {
      opened = Error{error.code().value(), std::string("cannot start a thread: ") + error.what()};
    }
    shards.push_back(worker.shard);
  }
  if (!opened) return opened.error();  // the destructor ends those that wait
  for (auto &worker : threads->workers_) worker->shard->meet(shards);
  threads->serving_ = true;
  for (auto &worker : threads->workers_) worker->serve.set_value(true);
  return threads;
}

ShardThreads::~ShardThreads() {
  for (auto &worker : workers_) {
    if (serving_) {
      worker->loop->stop();
    } else {
      worker->serve.set_value(false);
    }
  }
  stopped_.count_down();
  for (auto &worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void ShardThreads::run(Worker &worker, uint32_t number, const Open &open) {
  std::unique_ptr<Loop> loop;
  std::unique_ptr<GatewayShard> shard;
  Result<void> opened;
  try {
    loop = std::make_unique<Loop>();
    Result<std::unique_ptr<GatewayShard>> made = open(*loop, number);
    if (made) {
      shard = std::move(*made);
    } else {
      opened = made.error();
    }
  } catch (const std::system_error &error) {
    opened = Error{error.code().value(), error.what()};
  }
  worker.loop = loop.get();
  worker.shard = shard.get();
  std::future<bool> serve = worker.serve.get_future();
  worker.opened.set_value(opened);
  if (!serve.get()) return;
  loop->run();
  shard->part();
  stopped_.arrive_and_wait();
}

}  // namespace slipgate
