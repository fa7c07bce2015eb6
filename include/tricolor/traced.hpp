// Traced memory: memory that the program frees by hand and the collector reads, so that plain
// pointers to collected objects may lie in it: std containers, coroutine frames, values of any
// type; and ranges, globals and thread-locals that are to be read as well.
//
// A store into traced memory needs no barrier. In return a program that has any ends its cycles
// with a short stop of all threads. Whatever lies in traced memory is a root: a cycle of references
// that leads through it is not collected.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <deque>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <new>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <tricolor/atomic.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/traced_memory.hpp>
#include <tricolor/root.hpp>

namespace tricolor::gc {

// The standard allocator over traced memory: stateless, all instances equal. Elements may be or
// hold T* and gc::ptr. std::bad_alloc, std::bad_array_new_length. Any thread.
template <class T>
class traced_allocator {
 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using propagate_on_container_move_assignment = std::true_type;
  using is_always_equal = std::true_type;

  constexpr traced_allocator() noexcept = default;
  template <class U>
  constexpr traced_allocator(const traced_allocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / 2 / sizeof(T))
      TRICOLOR_THROW(std::bad_array_new_length());
    if constexpr (alignof(T) > 2 * sizeof(void*)) {
      return static_cast<T*>(detail::allocate_traced(count * sizeof(T), alignof(T)));
    } else {
      return static_cast<T*>(detail::allocate_traced(count * sizeof(T)));
    }
  }
  void deallocate(T* memory, std::size_t) noexcept { detail::free_traced(memory); }
};

template <class T, class U>
constexpr bool operator==(const traced_allocator<T>&, const traced_allocator<U>&) noexcept {
  return true;
}

// The std containers in traced memory.
namespace traced {

template <class T>
using vector = std::vector<T, traced_allocator<T>>;
template <class T>
using deque = std::deque<T, traced_allocator<T>>;
template <class T>
using list = std::list<T, traced_allocator<T>>;
template <class K, class V, class Less = std::less<K>>
using map = std::map<K, V, Less, traced_allocator<std::pair<const K, V>>>;
template <class K, class V, class Less = std::less<K>>
using multimap = std::multimap<K, V, Less, traced_allocator<std::pair<const K, V>>>;
template <class K, class Less = std::less<K>>
using set = std::set<K, Less, traced_allocator<K>>;
template <class K, class Less = std::less<K>>
using multiset = std::multiset<K, Less, traced_allocator<K>>;
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
using unordered_map =
    std::unordered_map<K, V, Hash, Equal, traced_allocator<std::pair<const K, V>>>;
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
using unordered_multimap =
    std::unordered_multimap<K, V, Hash, Equal, traced_allocator<std::pair<const K, V>>>;
template <class K, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
using unordered_set = std::unordered_set<K, Hash, Equal, traced_allocator<K>>;
template <class K, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
using unordered_multiset = std::unordered_multiset<K, Hash, Equal, traced_allocator<K>>;

}  // namespace traced

// Base class of a coroutine's promise_type: its frames lie in traced memory, so locals, parameters
// and the `this` of a member coroutine are roots while it is suspended. A promise that gives a
// return object on allocation failure works, too.
struct traced_frame {
  static void* operator new(std::size_t bytes) { return detail::allocate_traced(bytes); }
  static void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return detail::try_allocate_traced(bytes);
  }
  static void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return detail::allocate_traced(bytes, static_cast<std::size_t>(alignment));
  }
  static void operator delete(void* frame) noexcept { detail::free_traced(frame); }
  static void operator delete(void* frame, std::size_t) noexcept { detail::free_traced(frame); }
  static void operator delete(void* frame, const std::nothrow_t&) noexcept {
    detail::free_traced(frame);
  }
  static void operator delete(void* frame, std::align_val_t) noexcept {
    detail::free_traced(frame);
  }
  static void operator delete(void* frame, std::size_t, std::align_val_t) noexcept {
    detail::free_traced(frame);
  }
};

// Owns one T in traced memory, wherever the rooted itself lies: in a global, an exception, a lambda
// that is given away. Constructed as T is; copies copy the T; moving hands it over and leaves
// nothing behind (get() is nullptr then). Threads: as a T.
template <class T>
class rooted {
 public:
  using element_type = T;

  rooted() requires std::is_default_constructible_v<T> : value_(create()) {}
  template <class... Args>
  explicit rooted(std::in_place_t, Args&&... args) : value_(create(std::forward<Args>(args)...)) {}
  template <class U, class... Args>
  explicit rooted(std::in_place_t, std::initializer_list<U> items, Args&&... args)
      : value_(create(items, std::forward<Args>(args)...)) {}
  template <class U = T>
  requires(!std::is_same_v<std::remove_cvref_t<U>, rooted> &&
           !std::is_same_v<std::remove_cvref_t<U>, std::in_place_t> &&
           std::is_constructible_v<T, U>) explicit(!std::is_convertible_v<U, T>) rooted(U&& value)
      : value_(create(std::forward<U>(value))) {}
  template <class U>
  requires std::is_constructible_v<T, std::initializer_list<U>> rooted(
      std::initializer_list<U> items)
      : value_(create(items)) {}
  template <class A, class B, class... More>
  requires(!std::is_same_v<std::remove_cvref_t<A>, std::in_place_t> &&
           std::is_constructible_v<T, A, B, More...>) rooted(A&& a, B&& b, More&&... more)
      : value_(create(std::forward<A>(a), std::forward<B>(b), std::forward<More>(more)...)) {}

  rooted(const rooted& other) : value_(other.value_ == nullptr ? nullptr : create(*other)) {}
  rooted(rooted&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}
  rooted& operator=(const rooted& other) {
    if (this != &other) rooted(other).swap(*this);
    return *this;
  }
  rooted& operator=(rooted&& other) noexcept {
    rooted(std::move(other)).swap(*this);
    return *this;
  }
  template <class U = T>
  requires(!std::is_same_v<std::remove_cvref_t<U>, rooted> && std::is_constructible_v<T, U> &&
           std::is_assignable_v<T&, U>) rooted&
  operator=(U&& value) {
    if (value_ == nullptr) {
      value_ = create(std::forward<U>(value));
    } else {
      *value_ = std::forward<U>(value);
    }
    return *this;
  }
  ~rooted() {
    if (value_ == nullptr) return;
    value_->~T();
    detail::free_traced(const_cast<std::remove_cv_t<T>*>(value_));
  }

  T& operator*() noexcept { return *value_; }
  const T& operator*() const noexcept { return *value_; }
  T* operator->() noexcept { return value_; }
  const T* operator->() const noexcept { return value_; }
  T* get() noexcept { return value_; }
  const T* get() const noexcept { return value_; }
  explicit operator bool() const noexcept { return value_ != nullptr; }

  void swap(rooted& other) noexcept { std::swap(value_, other.value_); }
  friend void swap(rooted& a, rooted& b) noexcept { a.swap(b); }

 private:
  template <class... Args>
  static T* create(Args&&... args) {
    void* const memory = detail::allocate_traced(sizeof(T), alignof(T));
    TRICOLOR_TRY {
      if constexpr (std::is_constructible_v<T, Args...>) {
        return ::new (memory) T(std::forward<Args>(args)...);
      } else {
        return ::new (memory) T{std::forward<Args>(args)...};
      }
    }
    TRICOLOR_CATCH(...) {
      detail::free_traced(memory);
      TRICOLOR_RETHROW;
    }
  }

  T* value_;
};

// gc::atomic for memory that is not collected: globals, thread-locals, members of ordinary objects.
// What it refers to is alive until another is stored or the atomic_root ends. Lock-free once it has
// held a reference; the first that is stored takes a slot from the runtime (std::bad_alloc). Any
// thread; attaches it.
template <class T>
class atomic_root {
 public:
  using value_type = T*;
  static constexpr bool is_always_lock_free = std::atomic<T*>::is_always_lock_free;

  constexpr atomic_root() noexcept = default;
  constexpr atomic_root(std::nullptr_t) noexcept {}
  atomic_root(T* target) { store(target, std::memory_order_relaxed); }
  atomic_root(const atomic_root&) = delete;
  atomic_root& operator=(const atomic_root&) = delete;
  ~atomic_root() {
    if (detail::RootSlot* const slot = slot_.load(std::memory_order_acquire))
      detail::give_root_slot(slot);
  }

  bool is_lock_free() const noexcept { return is_always_lock_free; }

  T* load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
    detail::RootSlot* const slot = slot_.load(std::memory_order_acquire);
    if (slot == nullptr) return nullptr;
    detail::attach_before_load();
    return static_cast<T*>(word(*slot).load(order));
  }
  operator T*() const noexcept { return load(); }

  void store(T* desired, std::memory_order order = std::memory_order_seq_cst) {
    detail::RootSlot* slot = slot_.load(std::memory_order_acquire);
    if (slot == nullptr) {
      if (desired == nullptr) return;
      slot = make_slot();
    }
    word(*slot).store(erase(desired), order);
    published(desired);
  }
  T* operator=(T* desired) {
    store(desired);
    return desired;
  }
  T* exchange(T* desired, std::memory_order order = std::memory_order_seq_cst) {
    detail::RootSlot& slot = *make_slot();
    detail::attach_first();
    void* const old = word(slot).exchange(erase(desired), order);
    published(desired);
    return static_cast<T*>(old);
  }
  bool compare_exchange_strong(T*& expected, T* desired, std::memory_order success,
                               std::memory_order failure) {
    detail::RootSlot& slot = *make_slot();
    detail::attach_first();
    void* seen = erase(expected);
    const bool done = word(slot).compare_exchange_strong(seen, erase(desired), success, failure);
    if (done) published(desired);
    if (!done) expected = static_cast<T*>(seen);
    return done;
  }
  bool compare_exchange_strong(T*& expected, T* desired,
                               std::memory_order order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired, order, on_failure(order));
  }
  bool compare_exchange_weak(T*& expected, T* desired, std::memory_order success,
                             std::memory_order failure) {
    return compare_exchange_strong(expected, desired, success, failure);
  }
  bool compare_exchange_weak(T*& expected, T* desired,
                             std::memory_order order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired, order);
  }

 private:
  static std::atomic_ref<void*> word(detail::RootSlot& slot) noexcept {
    return std::atomic_ref<void*>(slot.target);
  }
  static void* erase(T* target) noexcept {
    return const_cast<void*>(static_cast<const volatile void*>(target));
  }
  static constexpr std::memory_order on_failure(std::memory_order order) noexcept {
    if (order == std::memory_order_acq_rel) return std::memory_order_acquire;
    if (order == std::memory_order_release) return std::memory_order_relaxed;
    return order;
  }
  static void published(T* target) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    detail::shade(target);
  }
  detail::RootSlot* make_slot() {
    detail::RootSlot* there = slot_.load(std::memory_order_acquire);
    if (there != nullptr) return there;
    detail::RootSlot* const fresh = detail::take_root_slot();
    if (slot_.compare_exchange_strong(there, fresh, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      return fresh;
    }
    detail::give_root_slot(fresh);
    return there;
  }

  // Set once (release), by the first store; loaded (acquire) by all.
  std::atomic<detail::RootSlot*> slot_{nullptr};
};

}  // namespace tricolor::gc

namespace tricolor::runtime {

// Keeps a range of memory registered; made by register_roots.
class RootRange {
 public:
  RootRange() noexcept = default;
  RootRange(RootRange&& other) noexcept : range_(std::exchange(other.range_, nullptr)) {}
  RootRange& operator=(RootRange&& other) noexcept {
    std::swap(range_, other.range_);
    return *this;
  }
  ~RootRange() { reset(); }

  // The range is read no more; its memory may go.
  TRICOLOR_API void reset() noexcept;
  explicit operator bool() const noexcept { return range_ != nullptr; }

 private:
  friend TRICOLOR_API RootRange register_roots(const void* lo, const void* hi);
  explicit RootRange(void* range) noexcept : range_(range) {}

  void* range_ = nullptr;
};

// Every whole word in [lo, hi) is a root until the guard goes: memory of mmap, of an arena, of a C
// library. It must stay readable as long. Constant time. std::invalid_argument when hi lies before
// lo, std::bad_alloc. Any thread; attaches it.
[[nodiscard]] TRICOLOR_API RootRange register_roots(const void* lo, const void* hi);

// Whether data segments and thread-locals of everything that is loaded are roots, what is loaded
// later included. Thread-locals of C11 and C++, of attached threads; not what lies behind
// pthread_setspecific. Any thread.
TRICOLOR_API void scan_globals(bool wanted) noexcept;

}  // namespace tricolor::runtime
