// The threads of a gateway: each makes its shard, serves until it is stopped, and takes the shard apart again.
//
// Used from the thread that controls the gateway; what it asks a shard runs on the shard's thread, between two of its
// turns.
#pragma once

#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gateway/gateway_shard.h"
#include "io/loop.h"

namespace slipgate {

class ShardThreads {
 public:
  using Open = std::function<Result<std::unique_ptr<GatewayShard>>(Loop &loop, uint32_t number)>;

  // Opens `count` shards, one after another, each on its thread, then lets all serve. The first error ends those that
  // were opened.
  static Result<std::unique_ptr<ShardThreads>> start(uint32_t count, Open open);
  ~ShardThreads();
  ShardThreads(const ShardThreads &) = delete;
  ShardThreads &operator=(const ShardThreads &) = delete;

  uint32_t count() const { return static_cast<uint32_t>(workers_.size()); }

  // What `work` returns on the thread of one shard, after all that it was told before.
  template <typename Work>
  auto ask(uint32_t number, Work work) {
    return post(number, std::move(work)).get();
  }
  // The same of every shard, at the same time; the answers in the order of the shards, if it gives any.
  template <typename Work>
  auto ask_all(const Work &work) {
    using Answer = std::invoke_result_t<const Work &, GatewayShard &>;
    std::vector<std::future<Answer>> waiting;
    for (uint32_t number = 0; number < count(); number++) waiting.push_back(post(number, work));
    if constexpr (std::is_void_v<Answer>) {
      for (std::future<Answer> &each : waiting) each.get();
    } else {
      std::vector<Answer> answers;
      for (std::future<Answer> &each : waiting) answers.push_back(each.get());
      return answers;
    }
  }
  // Has every shard do `work`, without waiting; before anything that is asked later.
  template <typename Work>
  void tell_all(const Work &work) {
    for (auto &worker : workers_) worker->loop->post([work, shard = worker->shard] { work(*shard); });
  }

 private:
  struct Worker {
    std::thread thread;
    Loop *loop = nullptr;  // null: it could not be opened
    GatewayShard *shard = nullptr;
    std::promise<Result<void>> opened;
    std::promise<bool> serve;  // false: go without having served
  };

  explicit ShardThreads(uint32_t count);
  void run(Worker &worker, uint32_t number, const Open &open);

  template <typename Work>
  auto post(uint32_t number, Work work) {
    using Answer = std::invoke_result_t<Work &, GatewayShard &>;
    Worker &worker = *workers_[number];
    auto task = std::make_shared<std::packaged_task<Answer()>>(
        [work = std::move(work), shard = worker.shard]() mutable { return work(*shard); });
    std::future<Answer> answer = task->get_future();
    worker.loop->post([task] { (*task)(); });
    return answer;
  }

  std::vector<std::unique_ptr<Worker>> workers_;
  bool serving_ = false;
  std::latch stopped_;  // nobody sends to another's mailbox, or wakes a loop, any more: the shards' threads and ours
};

}  // namespace slipgate
