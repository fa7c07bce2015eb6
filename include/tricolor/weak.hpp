// gc::weak: a reference that does not keep its object alive.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <utility>

#include <tricolor/ptr.hpp>
#include <tricolor/root.hpp>

namespace tricolor::gc {

namespace detail {

struct WeakCell;
// The cell of the object that `target` points into, counted; nullptr for nullptr. Attaches;
// std::bad_alloc.
[[nodiscard]] TRICOLOR_API WeakCell* weak_cell_for(void* target, std::ptrdiff_t& offset);
// The start of the object, nullptr once it is unreachable. Attaches.
[[nodiscard]] TRICOLOR_API char* lock_weak(WeakCell* cell) noexcept;
TRICOLOR_API void retain_weak(WeakCell* cell) noexcept;
TRICOLOR_API void release_weak(WeakCell* cell) noexcept;

}  // namespace detail

// Refers to an object without keeping it alive, from any memory. Cleared when the object becomes
// unreachable, before its finalizer or destructor is queued. Interior pointers are remembered as
// given. Made from an address: std::invalid_argument if it is not a collected object's,
// std::bad_alloc; attaches the thread.
//
// Threads: one weak is used by one thread at a time; lock() may be called by any number of threads on copies.
template <class T>
class weak {
 public:
  using element_type = T;

  constexpr weak() noexcept = default;
  constexpr weak(std::nullptr_t) noexcept {}
  weak(T* target) : cell_(detail::weak_cell_for(erase(target), offset_)) {}
  template <detail::pointer_to<T> U>
  weak(const ptr<U>& target) : weak(static_cast<T*>(target.get())) {}
  template <detail::pointer_to<T> U>
  weak(const root<U>& target) : weak(static_cast<T*>(target.get())) {}
  weak(const weak& other) noexcept : offset_(other.offset_), cell_(other.cell_) {
    if (cell_ != nullptr) detail::retain_weak(cell_);
  }
  weak(weak&& other) noexcept
      : offset_(other.offset_), cell_(std::exchange(other.cell_, nullptr)) {}
  ~weak() {
    if (cell_ != nullptr) detail::release_weak(cell_);
  }
  weak& operator=(const weak& other) noexcept {
    weak(other).swap(*this);
    return *this;
  }
  weak& operator=(weak&& other) noexcept {
    weak(std::move(other)).swap(*this);
    return *this;
  }
  weak& operator=(T* target) { return *this = weak(target); }
  template <detail::pointer_to<T> U>
  weak& operator=(const ptr<U>& target) {
    return *this = weak(target);
  }
  template <detail::pointer_to<T> U>
  weak& operator=(const root<U>& target) {
    return *this = weak(target);
  }
  weak& operator=(std::nullptr_t) noexcept {
    reset();
    return *this;
  }

  // The object, or nullptr once it has become unreachable. The result is a root while it lies on
  // this stack.
  [[nodiscard]] T* lock() const noexcept {
    if (cell_ == nullptr) return nullptr;
    char* const object = detail::lock_weak(cell_);
    return object == nullptr ? nullptr : reinterpret_cast<T*>(object + offset_);
  }
  bool expired() const noexcept { return lock() == nullptr; }
  void reset() noexcept { weak().swap(*this); }
  void swap(weak& other) noexcept {
    std::swap(cell_, other.cell_);
    std::swap(offset_, other.offset_);
  }

  // Two weaks made from one address of one object are equal, also after it died.
  friend bool operator==(const weak& a, const weak& b) noexcept {
    return a.cell_ == b.cell_ && (a.cell_ == nullptr || a.offset_ == b.offset_);
  }
  // Some order that agrees with ==, also after the objects died.
  friend std::strong_ordering operator<=>(const weak& a, const weak& b) noexcept {
    const auto cells = std::compare_three_way{}(a.cell_, b.cell_);
    return cells != 0 || a.cell_ == nullptr ? cells : a.offset_ <=> b.offset_;
  }
  std::size_t hash() const noexcept {
    if (cell_ == nullptr) return 0;
    return std::hash<const void*>{}(cell_) + static_cast<std::size_t>(offset_);
  }

 private:
  static void* erase(T* target) noexcept {
    return const_cast<void*>(static_cast<const volatile void*>(target));
  }

  std::ptrdiff_t offset_ =
      0;  // from the start of the object; an address here would keep the object alive
  detail::WeakCell* cell_ = nullptr;
};

}  // namespace tricolor::gc

// By identity of the object, and stable after it died.
template <class T>
struct std::hash<tricolor::gc::weak<T>> {
  std::size_t operator()(const tricolor::gc::weak<T>& reference) const noexcept {
    return reference.hash();
  }
};
