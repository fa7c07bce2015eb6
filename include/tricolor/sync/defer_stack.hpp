// sync::DeferStack and sync::with_defer: calls put off to the end of a function, as Go's defer.
#pragma once

#include <cxxabi.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include <tricolor/detail/config.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/raw_words.hpp>

namespace tricolor::sync {

class DeferStack;

namespace detail {

// A deferred call: what it needs lies behind it.
struct alignas(16) DeferEntry {
  void (*act)(DeferEntry* entry, bool call);  // calls it if asked to, and ends it
  DeferEntry* below;
};

template <class F, class... Args>
struct DeferCall : DeferEntry {
  template <class G, class... As>
  explicit DeferCall(DeferEntry* under, G&& g, As&&... as)
      : DeferEntry{&act_on, under}, f(std::forward<G>(g)), args(std::forward<As>(as)...) {}

  static void act_on(DeferEntry* entry, bool call) {
    struct End {
      DeferCall* self;
      ~End() { self->~DeferCall(); }
    } end{static_cast<DeferCall*>(entry)};
    if (!call) return;
    if constexpr (std::is_invocable_v<F&&, Args&&...>) {
      std::apply(std::move(end.self->f), std::move(end.self->args));
    } else {
      std::apply(end.self->f, end.self->args);
    }
  }

  F f;
  std::tuple<Args...> args;
};

// Memory that the collector reads for `bytes` and more; the bytes it has.
struct DeferSpace {
  std::byte* from;
  std::byte* to;
};
[[nodiscard]] TRICOLOR_API DeferSpace more_defer_space(std::size_t before, std::size_t bytes);

template <class R>
inline constexpr char kResultTag = 0;  // its address names R

}  // namespace detail

// Calls to make when the scope of the stack ends, in whatever way, the last pushed first.
//
//     sync::DeferStack d;
//     for (int fd : fds) d.push(::close, fd);
//
// push() keeps copies of the arguments as they are at that moment (std::ref keeps a reference). The
// copies, and what `f` captures, may be raw references to collected objects: the collector reads
// them. The first few calls cost no memory but the stack's own. Pushing from a deferred call is
// allowed: it runs next.
//
// If a deferred call throws, the others still run, and the exception then leaves the scope; the
// last one, if there are several. While an exception leaves the scope already there is no place for
// a second (std::terminate): with_defer has one, and recover(). One thread; lives on a stack.
class DeferStack {
 public:
  DeferStack() noexcept = default;
  DeferStack(const DeferStack&) = delete;
  DeferStack& operator=(const DeferStack&) = delete;
  ~DeferStack() noexcept(false) {
    if (top_ != nullptr) run_at_end();
  }
  static void* operator new(std::size_t) = delete;
  static void* operator new[](std::size_t) = delete;

  // Calls f(args...) at the end; the result is ignored. std::bad_alloc, and what the copies throw:
  // then nothing was pushed.
  template <class F, class... Args>
  void push(F&& f, Args&&... args) {
    using Call = detail::DeferCall<std::decay_t<F>, std::decay_t<Args>...>;
    static_assert(std::is_invocable_v<std::decay_t<F>&&, std::decay_t<Args>&&...> ||
                      std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>&...>,
                  "sync::DeferStack::push takes what can be called with these arguments");
    static_assert(alignof(Call) == alignof(detail::DeferEntry), "aligned by 16 at most");
    if (static_cast<std::size_t>(end_ - free_) < sizeof(Call)) grow(sizeof(Call));
    Call* const call = ::new (static_cast<void*>(free_))
        Call(top_, std::forward<F>(f), std::forward<Args>(args)...);
    free_ += sizeof(Call);
    ++size_;
    top_ = call;
    detail::shade_raw_words(call);
  }

  // Runs what is pending now, as the end of the scope would.
  void run() { run_at_end(); }
  // Drops what is pending.
  void cancel() noexcept {
    while (top_ != nullptr) act(false);
  }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // For a deferred call of with_defer: the exception that is on its way out, which then is not any
  // more: the calls that are left run, and the function returns its result. nullptr when there is
  // none, or outside of a deferred call. std::logic_error for a stack that is not with_defer's: a
  // scope's end cannot hold an exception up.
  std::exception_ptr recover() {
    if (!held_) {
      TRICOLOR_THROW(
          std::logic_error("sync::DeferStack::recover: the stack is not that of sync::with_defer"));
    }
    return running_ ? std::exchange(thrown_, nullptr) : nullptr;
  }

  // The result of the function that with_defer runs: R{} until it returns. What a deferred call
  // makes of it is what the caller sees. std::logic_error where the function returns no R.
  template <class R>
  R& result() {
    if (result_ == nullptr || tag_ != &detail::kResultTag<R>) {
      TRICOLOR_THROW(
          std::logic_error("sync::DeferStack::result: the function does not return this type"));
    }
    return *static_cast<R*>(result_);
  }

 private:
  template <class F>
  friend auto with_defer(F&& f) -> std::invoke_result_t<F&, DeferStack&>;

  void act(bool call) {
    --size_;
    detail::DeferEntry* const entry = std::exchange(top_, top_->below);
    entry->act(entry, call);
  }

  void grow(std::size_t bytes) {
    const detail::DeferSpace space =
        detail::more_defer_space(static_cast<std::size_t>(end_ - begin_), bytes);
    begin_ = free_ = space.from;
    end_ = space.to;
  }

  // Runs all calls; `thrown_` is the last exception that is not recovered. Forced unwinding (a
  // cancelled thread) passes through: what is left runs as the stack is destroyed.
  void run_all() {
    const bool within = std::exchange(running_, true);  // a deferred call calls run()
    while (top_ != nullptr) {
      TRICOLOR_TRY { act(true); }
      TRICOLOR_CATCH(const abi::__forced_unwind&) { TRICOLOR_RETHROW; }
      TRICOLOR_CATCH(...) { thrown_ = std::current_exception(); }
    }
    if (within) return;
    running_ = false;
    begin_ = free_ = first_;
    end_ = first_ + sizeof(first_);
  }
  TRICOLOR_NOINLINE void run_at_end() {
    run_all();
    if (thrown_ != nullptr) std::rethrow_exception(std::exchange(thrown_, nullptr));
  }

  detail::DeferEntry* top_ = nullptr;
  std::byte* begin_ = first_;
  std::byte* free_ = first_;
  std::byte* end_ = first_ + sizeof(first_);
  std::size_t size_ = 0;
  std::exception_ptr thrown_;
  void* result_ = nullptr;
  const char* tag_ = nullptr;
  bool held_ = false;     // by with_defer
  bool running_ = false;  // the deferred calls
  alignas(16) std::byte first_[256];
};

// Calls f(stack) and then what it has pushed, the last first, whether f returned or threw. A
// deferred call may change the result (`stack.result<R>()`) and may take the exception
// (`stack.recover()`): then the function returns its result, R{} if nobody has set it. An exception
// that nobody recovered leaves with_defer when all calls have run; one that a deferred call throws
// replaces the one before. R: void, or default constructible.
//
//     int parsed = sync::with_defer([&](sync::DeferStack& d) -> int {
//       d.push([&] { if (d.recover()) d.result<int>() = -1; });
//       return std::stoi(text);
//     });
template <class F>
auto with_defer(F&& f) -> std::invoke_result_t<F&, DeferStack&> {
  using R = std::invoke_result_t<F&, DeferStack&>;
  DeferStack stack;
  stack.held_ = true;
  const auto guarded = [&stack](auto&& body) {
    TRICOLOR_TRY { body(); }
    TRICOLOR_CATCH(const abi::__forced_unwind&) { TRICOLOR_RETHROW; }
    TRICOLOR_CATCH(...) { stack.thrown_ = std::current_exception(); }
    stack.run_at_end();
  };
  if constexpr (std::is_void_v<R>) {
    guarded([&] { std::invoke(f, stack); });
  } else {
    static_assert(std::is_default_constructible_v<R> && !std::is_reference_v<R>,
                  "with_defer returns R{} for a function that was recovered");
    std::optional<R> result(std::in_place);
    stack.result_ = &*result;
    stack.tag_ = &detail::kResultTag<R>;
    guarded([&] {
      R value = std::invoke(f, stack);
      if constexpr (std::is_move_assignable_v<R>) {
        *result = std::move(value);
      } else {
        result.emplace(std::move(value));
      }
    });
    return *std::move(result);
  }
}

}  // namespace tricolor::sync
