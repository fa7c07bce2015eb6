// gc::root: a reference from memory that is not collected.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <tricolor/ptr.hpp>

namespace tricolor::gc {

namespace detail {

// A word that every cycle reads as a root. Slots live in memory that never goes away, so that the
// collector can read them while threads take and give them back.
struct RootSlot {
  void* target;
};

[[nodiscard]] TRICOLOR_API RootSlot*
take_root_slot();  // attaches; std::bad_alloc when memory is gone
TRICOLOR_API void give_root_slot(RootSlot* slot) noexcept;  // any thread, also while it exits

}  // namespace detail

// Keeps its object alive from anywhere: globals, thread_local, std:: containers, malloc memory,
// lambdas, exceptions. The pointer interface of gc::ptr. Moving is noexcept and leaves nullptr
// behind; the other operations may take a slot from the runtime the first time a root becomes
// non-null (std::bad_alloc).
//
// Threads: one root is used by one thread at a time; different roots by any threads. Reading one
// attaches the thread (the program ends without memory for that), unless it is null.
template <class T>
class root {
 public:
  using element_type = T;

  constexpr root() noexcept = default;
  constexpr root(std::nullptr_t) noexcept {}
  root(T* target) { set(target); }
  template <class U>
  requires detail::pointer_to<U, T> root(U* target) { set(target); }
  template <detail::pointer_to<T> U>
  root(const ptr<U>& target) {
    set(target.get());
  }
  root(const root& other) { set(other.get()); }
  template <detail::pointer_to<T> U>
  root(const root<U>& other) {
    set(other.get());
  }
  root(root&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  ~root() {
    if (slot_ != nullptr) detail::give_root_slot(slot_);
  }

  root& operator=(T* target) {
    set(target);
    return *this;
  }
  root& operator=(std::nullptr_t) noexcept {
    if (slot_ != nullptr) detail::store_word(slot_->target, static_cast<void*>(nullptr));
    return *this;
  }
  root& operator=(const root& other) { return *this = other.get(); }
  root& operator=(root&& other) noexcept {
    std::swap(slot_, other.slot_);
    if (this != &other) other = nullptr;
    return *this;
  }
  template <detail::pointer_to<T> U>
  root& operator=(const root<U>& other) {
    return *this = static_cast<T*>(other.get());
  }
  template <detail::pointer_to<T> U>
  root& operator=(const ptr<U>& target) {
    return *this = static_cast<T*>(target.get());
  }

  T* get() const noexcept {
    if (slot_ == nullptr) return nullptr;
    detail::attach_before_load();
    // The slot holds the T* itself (as void*), so a base class pointer comes back as it went in.
    return static_cast<T*>(slot_->target);
  }
  operator T*() const noexcept { return get(); }
  explicit operator bool() const noexcept { return get() != nullptr; }
  std::add_lvalue_reference_t<T> operator*() const noexcept requires(!std::is_void_v<T>) {
    return *get();
  }
  T* operator->() const noexcept { return get(); }
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
  void swap(root& other) noexcept { std::swap(slot_, other.slot_); }
  friend void swap(root& a, root& b) noexcept { a.swap(b); }

 private:
  void set(T* target) {
    void* address = const_cast<void*>(static_cast<const volatile void*>(target));
    if (slot_ == nullptr) {
      if (target == nullptr) return;
      slot_ = detail::take_root_slot();
    }
    detail::store_reference(slot_->target, address);
  }

  detail::RootSlot* slot_ = nullptr;
};

template <class T, class U>
bool operator==(const root<T>& a, const root<U>& b) noexcept {
  return a.get() == b.get();
}
template <class T, std::integral Index>
T* operator+(const root<T>& a, Index n) noexcept {
  return a.get() + n;
}
template <class T, std::integral Index>
T* operator+(Index n, const root<T>& a) noexcept {
  return a.get() + n;
}
template <class T, std::integral Index>
T* operator-(const root<T>& a, Index n) noexcept {
  return a.get() - n;
}
template <class T, class U>
std::ptrdiff_t operator-(const root<T>& a, const root<U>& b) noexcept {
  return a.get() - b.get();
}
template <class T, class U>
std::ptrdiff_t operator-(const root<T>& a, U* b) noexcept {
  return a.get() - b;
}
template <class T, class U>
std::ptrdiff_t operator-(U* a, const root<T>& b) noexcept {
  return a - b.get();
}

template <class T, class U>
auto operator<=>(const root<T>& a, const root<U>& b) noexcept {
  return std::compare_three_way{}(a.get(), b.get());
}
template <class T, class U>
bool operator==(const root<T>& a, const ptr<U>& b) noexcept {
  return a.get() == b.get();
}
template <class T, class U>
bool operator==(const root<T>& a, U* b) noexcept {
  return a.get() == b;
}
template <class T>
bool operator==(const root<T>& a, std::nullptr_t) noexcept {
  return a.get() == nullptr;
}

}  // namespace tricolor::gc

template <class T>
struct std::hash<tricolor::gc::root<T>> {
  std::size_t operator()(const tricolor::gc::root<T>& r) const noexcept {
    return std::hash<T*>{}(r.get());
  }
};
