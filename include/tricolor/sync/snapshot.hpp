// gc::snapshot: an immutable value that is replaced as a whole.
#pragma once

#include <atomic>
#include <functional>
#include <type_traits>
#include <utility>

#include <tricolor/atomic.hpp>
#include <tricolor/detail/config.hpp>
#include <tricolor/make.hpp>
#include <tricolor/pool.hpp>
#include <tricolor/root.hpp>

namespace tricolor::gc {

// Publishes objects that do not change any more: who loads one has it whole, for as long as it
// likes, while others publish the next. No lock, no copy for readers, and no question of when the
// last reader is done: that is the collector's.
//
//     gc::snapshot<Config> config(gc::make<Config>());
//     const Config* now = config.load();
//     config.update([](Config& next) { next.limit = 10; });    // on a copy
//
// From its publication on an object is not written, and not put into a pool: a reader may be in the
// middle of it. The checking build reports one that is published while a pool has it, and one that
// is put while it is published. Any thread; lives anywhere.
template <class T>
class snapshot {
 public:
  using element_type = T;

  snapshot() : cell_(gc::make<Cell>()) {}
  explicit snapshot(T* value, sync::CallSite where = sync::CallSite::current()) : snapshot() {
    store(value, where);
  }
  snapshot(const snapshot&) = delete;
  snapshot& operator=(const snapshot&) = delete;
#if TRICOLOR_CHECKS
  ~snapshot() { sync::detail::check_published(nullptr, load(), type(), {}); }
#endif

  // The latest, nullptr before the first. What was written before its publication is seen.
  [[nodiscard]] const T* load() const noexcept {
    return cell_->value.load(std::memory_order_acquire);
  }
  const T* operator->() const noexcept { return load(); }
  const T& operator*() const noexcept { return *load(); }

  void store(T* value, sync::CallSite where = sync::CallSite::current()) {
    static_cast<void>(exchange(value, where));
  }
  // Gives what it replaced.
  const T* exchange(T* value, [[maybe_unused]] sync::CallSite where = sync::CallSite::current()) {
#if TRICOLOR_CHECKS
    sync::detail::check_published(value, nullptr, type(), where);
#endif
    T* const before = cell_->value.exchange(value, std::memory_order_acq_rel);
#if TRICOLOR_CHECKS
    sync::detail::check_published(nullptr, before, type(), where);
#endif
    return before;
  }
  // Replaces `expected`, and only that; false when another is there by now.
  bool compare_exchange(const T* expected, T* value,
                        [[maybe_unused]] sync::CallSite where = sync::CallSite::current()) {
    T* there = const_cast<T*>(expected);
#if TRICOLOR_CHECKS
    sync::detail::check_published(value, nullptr, type(), where);
#endif
    const bool done = cell_->value.compare_exchange_strong(there, value, std::memory_order_acq_rel,
                                                           std::memory_order_acquire);
#if TRICOLOR_CHECKS
    sync::detail::check_published(nullptr, done ? expected : value, type(), where);
#endif
    return done;
  }

  // Publishes what f makes of the latest, and gives it: f(const T* latest) -> T*, or f(T& copy),
  // which changes a copy of it (T() where there is none). Runs f again if somebody else has
  // published meanwhile, so f has no other effect. What f throws: then nothing has changed.
  template <class F>
  const T* update(F&& f, sync::CallSite where = sync::CallSite::current()) {
    for (;;) {
      const T* const latest = load();
      T* const next = next_of(f, latest);
      if (next == latest || compare_exchange(latest, next, where)) return next;
    }
  }

 private:
  struct Cell {
    // Published with release, loaded with acquire: the pair makes the value's contents visible.
    gc::atomic<T> value;
  };

  template <class F>
  static T* next_of(F& f, const T* latest) {
    if constexpr (std::is_invocable_r_v<T*, F&, const T*>) {
      return std::invoke(f, latest);
    } else {
      T* const copy = latest == nullptr ? gc::make<T>() : gc::make<T>(*latest);
      std::invoke(f, *copy);
      return copy;
    }
  }
  static constexpr const char* type() noexcept { return detail::kTypeName<T>.data(); }

  gc::root<Cell> cell_;
};

template <class T>
snapshot(T*) -> snapshot<T>;

}  // namespace tricolor::gc
