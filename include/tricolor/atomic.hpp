// gc::atomic: a reference that several threads read and write at once.
#pragma once

#include <atomic>
#include <cstddef>

#include <tricolor/detail/barrier.hpp>
#include <tricolor/ptr.hpp>

namespace tricolor::gc {

// std::atomic<T*> for a reference in a collected object: lock-free, every successful store goes
// through the write barrier. There is no ABA: an address cannot be reused while a thread still
// holds it on its stack, so compare_exchange needs neither tags nor hazard pointers. Any thread;
// attaches it.
//
// It is no root: outside of collected objects (a global, malloc memory) it keeps nothing alive;
// gc::atomic_root (<tricolor/traced.hpp>) does. The checking build reports one.
template <class T>
class atomic {
 public:
  using value_type = T*;
  static constexpr bool is_always_lock_free = std::atomic<T*>::is_always_lock_free;

  atomic() noexcept : target_(nullptr) { check(); }
  atomic(T* target) noexcept : target_(target) {
    check();
    published(target);
  }
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;
  // A user-provided destructor would cost the finalizer thread a visit; the implicit one is
  // trivial.

  bool is_lock_free() const noexcept { return is_always_lock_free; }

  T* load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
    detail::attach_before_load();
    return target_.load(order);
  }
  operator T*() const noexcept { return load(); }

  void store(T* desired, std::memory_order order = std::memory_order_seq_cst) noexcept {
    target_.store(desired, order);
    published(desired);
  }
  T* operator=(T* desired) noexcept {
    store(desired);
    return desired;
  }
  T* exchange(T* desired, std::memory_order order = std::memory_order_seq_cst) noexcept {
    detail::attach_first();
    T* const old = target_.exchange(desired, order);
    published(desired);
    return old;
  }
  bool compare_exchange_strong(T*& expected, T* desired, std::memory_order success,
                               std::memory_order failure) noexcept {
    detail::attach_first();
    const bool done = target_.compare_exchange_strong(expected, desired, success, failure);
    if (done) published(desired);
    return done;
  }
  bool compare_exchange_strong(T*& expected, T* desired,
                               std::memory_order order = std::memory_order_seq_cst) noexcept {
    detail::attach_first();
    const bool done = target_.compare_exchange_strong(expected, desired, order);
    if (done) published(desired);
    return done;
  }
  bool compare_exchange_weak(T*& expected, T* desired, std::memory_order success,
                             std::memory_order failure) noexcept {
    detail::attach_first();
    const bool done = target_.compare_exchange_weak(expected, desired, success, failure);
    if (done) published(desired);
    return done;
  }
  bool compare_exchange_weak(T*& expected, T* desired,
                             std::memory_order order = std::memory_order_seq_cst) noexcept {
    detail::attach_first();
    const bool done = target_.compare_exchange_weak(expected, desired, order);
    if (done) published(desired);
    return done;
  }

 private:
  // The flag is tested after the store has been issued, in program order (see barrier.hpp).
  static void published(T* target) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    detail::shade(target);
  }
  void check() const noexcept {
#if TRICOLOR_CHECKS
    detail::check_reference_slot(&target_, detail::kTypeName<T>.data(), "gc::atomic");
#endif
  }

  std::atomic<T*> target_;
};

}  // namespace tricolor::gc
