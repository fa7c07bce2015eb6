// sync::defer: something to do at the end of a scope.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace tricolor::sync {

// Calls `f` when the scope is left, in whatever way; several in a scope run last-in first-out.
//
//     auto unlock = sync::defer([&] { device.unlock(); });
//
// `f` must not throw (std::terminate). Not for the heap: what `f` captures by reference, and raw
// references to collected objects, are on the stack. One thread.
template <class F>
class [[nodiscard]] defer {
 public:
  static_assert(std::is_invocable_v<F&>,
                "sync::defer takes something that is called without arguments");

  explicit defer(F f) noexcept(std::is_nothrow_move_constructible_v<F>) : f_(std::move(f)) {}
  defer(defer&& other) noexcept(std::is_nothrow_move_constructible_v<F>)
      : f_(std::move(other.f_)), armed_(std::exchange(other.armed_, false)) {}
  defer(const defer&) = delete;
  defer& operator=(const defer&) = delete;
  defer& operator=(defer&&) = delete;
  ~defer() {
    if (armed_) f_();
  }
  static void* operator new(std::size_t) = delete;

  // The scope's end does nothing any more.
  void cancel() noexcept { armed_ = false; }
  // Does it now, and not at the scope's end.
  void run_now() {
    if (std::exchange(armed_, false)) f_();
  }

 private:
  F f_;
  bool armed_ = true;
};

template <class F>
defer(F) -> defer<F>;

}  // namespace tricolor::sync
