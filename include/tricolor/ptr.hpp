// gc::ptr: a reference stored in a collected object.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>

#include <tricolor/detail/barrier.hpp>
#include <tricolor/detail/layout.hpp>

namespace tricolor::gc {

namespace detail {
struct not_deletable;

// The same pointee with more qualifiers: g++ -Wconversion says nothing when it is passed over.
template <class T>
using second_choice = std::conditional_t<std::is_same_v<T, const volatile T>,
                                         const volatile not_deletable, const volatile T>;

template <class From, class To>
concept pointer_to = std::is_convertible_v<From*, To*>;
}  // namespace detail

template <class T>
class root;

// A reference from one collected object to another: one word, stored through the write barrier.
//
// Points to an object made by gc::make or gc::make_array, into the middle of one (a base class, a
// member, an element), or nowhere. Lives in collected objects; on a stack it is harmless. Trivially
// destructible. Converts to T*, so that locals are plain pointers: `Node* next = node->next;`.
//
// Threads: as for any pointer, two threads that race on one ptr use gc::atomic instead. A thread's
// first store attaches it (std::terminate without memory for that); later ones never block: while a
// cycle marks, one may hand work to the collector (bounded, some 100 ns).
template <class T>
class ptr {
 public:
  using element_type = T;

  constexpr ptr() noexcept { check(); }
  constexpr ptr(std::nullptr_t) noexcept { check(); }
  ptr(T* target) noexcept { init(target); }
  ptr(const ptr& other) noexcept { init(other.target_); }
  template <detail::pointer_to<T> U>
  ptr(const ptr<U>& other) noexcept {
    init(other.get());
  }
  template <class U>
  requires detail::pointer_to<U, T> ptr(U* target)
  noexcept { init(target); }
  template <detail::pointer_to<T> U>
  ptr(const root<U>& other) noexcept {
    init(other.get());
  }

  ptr& operator=(T* target) noexcept {
#if TRICOLOR_CHECKS
    detail::check_reference_store(&target_, detail::kTypeName<T>.data());
#endif
    detail::store_reference(target_, target);
    return *this;
  }
  ptr& operator=(const ptr& other) noexcept { return *this = other.target_; }
  template <detail::pointer_to<T> U>
  ptr& operator=(const ptr<U>& other) noexcept {
    return *this = static_cast<T*>(other.get());
  }
  template <detail::pointer_to<T> U>
  ptr& operator=(const root<U>& other) noexcept {
    return *this = static_cast<T*>(other.get());
  }
  ptr& operator=(std::nullptr_t) noexcept {
    detail::store_word(target_, static_cast<T*>(nullptr));
    return *this;
  }

  T* get() const noexcept { return target_; }
  operator T*() const noexcept { return target_; }
  explicit operator bool() const noexcept { return target_ != nullptr; }
  std::add_lvalue_reference_t<T> operator*() const noexcept requires(!std::is_void_v<T>) {
    return *target_;
  }
  T* operator->() const noexcept { return target_; }
  template <std::integral Index>
  std::add_lvalue_reference_t<T> operator[](Index i) const noexcept requires(!std::is_void_v<T>) {
    return get()[i];
  }

  // `delete` and std::unique_ptr of a reference do not compile: the collector frees what it made,
  // gc::destroy ends an object at once. A second pointer to choose from makes `delete` ambiguous;
  // any other conversion prefers the one above.
  operator detail::second_choice<T>*() const volatile noexcept = delete;
  operator std::unique_ptr<T>() const noexcept = delete;

  void reset() noexcept { *this = nullptr; }
  void swap(ptr& other) noexcept {
    T* mine = target_;
    *this = other.target_;
    other = mine;
  }
  friend void swap(ptr& a, ptr& b) noexcept { a.swap(b); }

 private:
  void init(T* target) noexcept {
    check();
    detail::store_reference(target_, target);
  }
  constexpr void check() const noexcept {
#if TRICOLOR_CHECKS
    if (!std::is_constant_evaluated())
      detail::check_reference_slot(&target_, detail::kTypeName<T>.data());
#endif
  }

  T* target_ = nullptr;
};

template <class T, class U>
bool operator==(const ptr<T>& a, const ptr<U>& b) noexcept {
  return a.get() == b.get();
}
template <class T, std::integral Index>
T* operator+(const ptr<T>& a, Index n) noexcept {
  return a.get() + n;
}
template <class T, std::integral Index>
T* operator+(Index n, const ptr<T>& a) noexcept {
  return a.get() + n;
}
template <class T, std::integral Index>
T* operator-(const ptr<T>& a, Index n) noexcept {
  return a.get() - n;
}
template <class T, class U>
std::ptrdiff_t operator-(const ptr<T>& a, const ptr<U>& b) noexcept {
  return a.get() - b.get();
}
template <class T, class U>
std::ptrdiff_t operator-(const ptr<T>& a, U* b) noexcept {
  return a.get() - b;
}
template <class T, class U>
std::ptrdiff_t operator-(U* a, const ptr<T>& b) noexcept {
  return a - b.get();
}

template <class T, class U>
auto operator<=>(const ptr<T>& a, const ptr<U>& b) noexcept {
  return std::compare_three_way{}(a.get(), b.get());
}
template <class T, class U>
bool operator==(const ptr<T>& a, U* b) noexcept {
  return a.get() == b;
}
template <class T>
bool operator==(const ptr<T>& a, std::nullptr_t) noexcept {
  return a.get() == nullptr;
}

template <class T, class U>
ptr<T> static_pointer_cast(const ptr<U>& p) noexcept {
  return ptr<T>(static_cast<T*>(p.get()));
}
template <class T, class U>
ptr<T> dynamic_pointer_cast(const ptr<U>& p) noexcept {
  return ptr<T>(dynamic_cast<T*>(p.get()));
}

}  // namespace tricolor::gc

template <class T>
struct std::hash<tricolor::gc::ptr<T>> {
  std::size_t operator()(const tricolor::gc::ptr<T>& p) const noexcept {
    return std::hash<T*>{}(p.get());
  }
};
