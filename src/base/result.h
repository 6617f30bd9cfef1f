// A value or the error that stands in its place. Run-time paths return these; exceptions stay before the loop starts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace slipgate {

// What went wrong: the errno where there is one (0 otherwise) and words for a person, already complete ("cannot bind
// …").
struct Error {
  int code = 0;
  std::string text;

  // "WHAT: strerror(code)"
  static Error from_errno(int code, std::string_view what);
};

template <typename T, typename E = Error>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T &operator*() { return *std::get_if<0>(&state_); }
  const T &operator*() const { return *std::get_if<0>(&state_); }
  T *operator->() { return std::get_if<0>(&state_); }
  const T *operator->() const { return std::get_if<0>(&state_); }
  E &error() { return *std::get_if<1>(&state_); }
  const E &error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, E> state_;
};

// Done, or the error.
template <typename E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(E error) : error_(std::move(error)), failed_(true) {}

  explicit operator bool() const { return !failed_; }
  E &error() { return error_; }
  const E &error() const { return error_; }

 private:
  E error_{};
  bool failed_ = false;
};

}  // namespace slipgate
