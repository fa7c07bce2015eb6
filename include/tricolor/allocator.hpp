// gc::allocator: collected storage for allocator-aware containers that take fancy pointers.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include <tricolor/detail/block.hpp>
#include <tricolor/ptr.hpp>

namespace tricolor::gc {

// A gc::ptr with the arithmetic of a pointer into an array: what gc::allocator hands out. A
// container that keeps such pointers in its fields and nodes stores them through the barrier. `T`
// may be void, for node hooks.
template <class T>
class element_ptr {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using difference_type = std::ptrdiff_t;
  using reference = std::add_lvalue_reference_t<T>;
  using pointer = element_ptr;
  using iterator_category = std::random_access_iterator_tag;
  template <class U>
  using rebind = element_ptr<U>;

  constexpr element_ptr() noexcept = default;
  constexpr element_ptr(std::nullptr_t) noexcept {}
  explicit element_ptr(T* target) noexcept : target_(target) {}
  template <detail::pointer_to<T> U>
  element_ptr(const element_ptr<U>& other) noexcept : target_(static_cast<T*>(other.get())) {}
  // Downwards from void and from a base, as static_cast does it.
  template <class U>
  requires(!detail::pointer_to<U, T> &&
           requires(U * u) {
             static_cast<T*>(u);
           }) explicit element_ptr(const element_ptr<U>& other) noexcept
      : target_(static_cast<T*>(other.get())) {}

  static element_ptr pointer_to(reference element) noexcept requires(!std::is_void_v<T>) {
    return element_ptr(std::addressof(element));
  }

  T* get() const noexcept { return target_.get(); }
  explicit operator bool() const noexcept { return get() != nullptr; }
  reference operator*() const noexcept requires(!std::is_void_v<T>) { return *get(); }
  T* operator->() const noexcept { return get(); }
  reference operator[](difference_type i) const noexcept requires(!std::is_void_v<T>) {
    return get()[i];
  }

  element_ptr& operator+=(difference_type n) noexcept {
    target_ = get() + n;
    return *this;
  }
  element_ptr& operator-=(difference_type n) noexcept { return *this += -n; }
  element_ptr& operator++() noexcept { return *this += 1; }
  element_ptr& operator--() noexcept { return *this += -1; }
  element_ptr operator++(int) noexcept {
    const element_ptr before = *this;
    ++*this;
    return before;
  }
  element_ptr operator--(int) noexcept {
    const element_ptr before = *this;
    --*this;
    return before;
  }
  friend element_ptr operator+(const element_ptr& p, difference_type n) noexcept {
    return element_ptr(p.get() + n);
  }
  friend element_ptr operator+(difference_type n, const element_ptr& p) noexcept { return p + n; }
  friend element_ptr operator-(const element_ptr& p, difference_type n) noexcept {
    return element_ptr(p.get() - n);
  }
  friend difference_type operator-(const element_ptr& a, const element_ptr& b) noexcept {
    return a.get() - b.get();
  }
  friend void swap(element_ptr& a, element_ptr& b) noexcept { a.target_.swap(b.target_); }

 private:
  ptr<T> target_;
};

template <class T, class U>
bool operator==(const element_ptr<T>& a, const element_ptr<U>& b) noexcept {
  return a.get() == b.get();
}
template <class T>
bool operator==(const element_ptr<T>& a, std::nullptr_t) noexcept {
  return a.get() == nullptr;
}
template <class T, class U>
auto operator<=>(const element_ptr<T>& a, const element_ptr<U>& b) noexcept {
  return std::compare_three_way{}(a.get(), b.get());
}

// Allocates collected storage, zeroed where it is scanned; stateless, all are equal. deallocate()
// does nothing: the storage goes when nothing refers to it.
//
// The container itself lies on a stack or in a collected object. As a field it gives the object a
// destructor, if only to call deallocate(), and must not look at its storage there, which may have
// died before it: a std::vector of trivially destructible elements does not, a container of nodes
// does. gc::vector and its like have no such limits.
template <class T>
class allocator {
 public:
  using value_type = T;
  using pointer = element_ptr<T>;
  using const_pointer = element_ptr<const T>;
  using void_pointer = element_ptr<void>;
  using const_void_pointer = element_ptr<const void>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using is_always_equal = std::true_type;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;
  template <class U>
  struct rebind {
    using other = allocator<U>;
  };

  constexpr allocator() noexcept = default;
  template <class U>
  constexpr allocator(const allocator<U>&) noexcept {}

  // std::bad_alloc; std::bad_array_new_length where the size overflows.
  [[nodiscard]] pointer allocate(std::size_t count) {
    std::size_t cell_size = 0;
    void* const cell =
        is_leaf_v<T> ? detail::allocate_array_for_overwrite(count, sizeof(T), alignof(T), cell_size,
                                                            &detail::kTypeInfo<T, true>)
                     : detail::allocate_array(count, sizeof(T), alignof(T), detail::Kind::kScan,
                                              cell_size, &detail::kTypeInfo<T, true>);
#if TRICOLOR_CHECKS
    detail::record_type(cell, sizeof(T) * count, &detail::kTypeInfo<T, true>);
#endif
    return pointer(static_cast<T*>(cell));
  }
  void deallocate(const pointer&, std::size_t) noexcept {}
  static constexpr std::size_t max_size() noexcept { return detail::kMostElements<T>; }

  // In a dead object the elements may have died before the container.
  template <class U>
  requires detail::has_destructor<U>
  void destroy(U* element) noexcept {
    if (!detail::ending_dead_object()) element->~U();
  }

  template <class U>
  friend constexpr bool operator==(const allocator&, const allocator<U>&) noexcept {
    return true;
  }
};

}  // namespace tricolor::gc

template <class T>
struct std::hash<tricolor::gc::element_ptr<T>> {
  std::size_t operator()(const tricolor::gc::element_ptr<T>& p) const noexcept {
    return std::hash<T*>{}(p.get());
  }
};
