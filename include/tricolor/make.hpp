// gc::make, gc::make_array and what can be asked of, or done to, one collected object.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc {

namespace detail {

// Zeroed, count stored.
[[nodiscard]] TRICOLOR_API void* allocate_array(std::size_t count, std::size_t element_size,
                                                std::size_t alignment, Kind kind,
                                                std::size_t& cell_size, const TypeInfo* type);
// Of leaves: their memory is as somebody else left it.
[[nodiscard]] TRICOLOR_API void* allocate_array_for_overwrite(std::size_t count,
                                                              std::size_t element_size,
                                                              std::size_t alignment,
                                                              std::size_t& cell_size,
                                                              const TypeInfo* type);
[[nodiscard]] TRICOLOR_API std::size_t array_size_of(const void* array,
                                                     std::size_t element_size) noexcept;
// Behind the first `used` bytes, for AddressSanitizer, where nothing scans the array.
TRICOLOR_API void set_red_zone(const void* array, std::size_t used) noexcept;
TRICOLOR_API void destroy_object(void* object) noexcept;
[[nodiscard]] TRICOLOR_API bool is_live_object(const void* address) noexcept;
#if TRICOLOR_CHECKS
TRICOLOR_API void record_type(const void* object, std::size_t size, const TypeInfo* type);
#endif

template <class T, class... Args>
TRICOLOR_ALWAYS_INLINE T* construct(void* cell, Args&&... args) {
  if constexpr (sizeof...(Args) == 0 && std::is_class_v<T> && std::is_default_constructible_v<T>) {
    return ::new (cell) T;  // T() would clear the zeroes once more
  } else if constexpr (std::is_constructible_v<T, Args...>) {
    return ::new (cell) T(std::forward<Args>(args)...);
  } else {
    return ::new (cell) T{std::forward<Args>(args)...};
  }
}

}  // namespace detail

// Allocates and constructs one collected T from `args` (parentheses, or braces for an aggregate).
// The memory is zero before construction. The object lives as long as it is reachable; its address
// is a multiple of 16 and of alignof(T), and never changes.
//
// Throws std::bad_alloc when memory is gone after a full collection; the heap is intact and the
// program may go on. What the constructor throws passes through; the memory is collected and no
// destructor runs. Any thread; attaches it. While a cycle runs it may mark for about 100 us, and
// waits where the heap has outgrown its goal: up to 1.1 ms a 64 KiB, longer in a crowd of threads
// or far beyond it, up to a second.
template <class T, class... Args>
[[nodiscard]] TRICOLOR_ALWAYS_INLINE T* make(Args&&... args) {
  static_assert(!std::is_array_v<T>, "use gc::make_array<T>(n)");
  static_assert(!std::is_reference_v<T> && !std::is_function_v<T>);
  static_assert(alignof(T) <= detail::kPageSize, "alignment beyond a page is not supported");
  using Object = std::remove_cv_t<T>;
  constexpr detail::Kind kind = detail::kind_of<Object>();
  constexpr std::size_t hidden = kind == detail::Kind::kDestructor ? detail::kWord : 0;
  constexpr std::size_t wanted =
      detail::aligned_cell_size(sizeof(Object) + hidden, alignof(Object));
  constexpr std::size_t size = detail::cell_size_for(wanted);
  void* cell;
  if constexpr (size <= detail::kMaxSmallSize) {
    constexpr unsigned cls = detail::size_class_of(wanted);
    cell = detail::allocate_cell<detail::cache_index(kind, cls), size>(
        &detail::kTypeInfo<Object, false>);
    detail::zero_cell<size>(cell);
  } else {
    cell = detail::allocate_large(size, kind, &detail::kTypeInfo<Object, false>);
  }
#if TRICOLOR_CHECKS
  detail::record_type(cell, sizeof(Object), &detail::kTypeInfo<Object, false>);
#endif
  Object* object = detail::construct<Object>(cell, std::forward<Args>(args)...);
  if constexpr (kind == detail::Kind::kDestructor) {
    detail::store_word(
        detail::hidden_word(cell, size, 1),
        const_cast<void*>(static_cast<const void*>(&detail::kTypeInfo<Object, false>)));
  }
  asm(""
      : "+r"(object));  // members that the constructor left alone read as the zeroes that are there
  return object;
}

// Allocates one collected array of `count` value-initialised elements; `count` may be 0 (the result
// is then a valid address with no element). Throws std::bad_array_new_length when the size
// overflows, else as gc::make; when an element's constructor throws, the elements before it are
// destroyed. Any thread; attaches it.
template <class T>
[[nodiscard]] T* make_array(std::size_t count) {
  static_assert(!std::is_array_v<T> && !std::is_reference_v<T>);
  static_assert(alignof(T) <= detail::kPageSize, "alignment beyond a page is not supported");
  using Element = std::remove_cv_t<T>;
  constexpr detail::Kind kind = detail::kind_of<Element>();
  std::size_t cell_size = 0;
  void* cell = detail::allocate_array(count, sizeof(Element), alignof(Element), kind, cell_size,
                                      &detail::kTypeInfo<Element, true>);
  Element* elements = static_cast<Element*>(cell);
#if TRICOLOR_CHECKS
  detail::record_type(cell, sizeof(Element) * count, &detail::kTypeInfo<Element, true>);
#endif
  if constexpr (!std::is_trivially_default_constructible_v<Element>) {
    std::uninitialized_value_construct_n(elements, count);
  }
  if constexpr (kind == detail::Kind::kDestructor) {
    detail::store_word(
        detail::hidden_word(cell, cell_size, 1),
        const_cast<void*>(static_cast<const void*>(&detail::kTypeInfo<Element, true>)));
  }
#if TRICOLOR_ASAN
  detail::set_red_zone(cell, sizeof(Element) * count);
#endif
  asm("" : "+r"(elements));
  return elements;
}

// The number of elements of an array made by gc::make_array. `array` is the pointer that it
// returned, and T its element type.
template <class T>
[[nodiscard]] std::size_t array_size(T* array) noexcept {
  static_assert(!std::is_void_v<T>, "the elements' type is needed");
  return detail::array_size_of(const_cast<const void*>(static_cast<const volatile void*>(array)),
                               sizeof(T));
}

// Ends one object (or array) now: its destructor runs on this thread, weak references to it read
// nullptr, its finalizer is dropped, its cleanups are queued, and its memory may be reused (at
// once, or after the running cycle). `object` is what gc::make or gc::make_array returned, or
// nullptr. Using a reference that is left afterwards is an error of the program, as after delete.
// Any thread.
template <class T>
void destroy(T* object) noexcept {
  detail::destroy_object(const_cast<void*>(static_cast<const volatile void*>(object)));
}

// `value`, and what it refers to, is reachable at least until this call returns.
template <class T>
TRICOLOR_ALWAYS_INLINE void keep_alive(const T& value) noexcept {
  asm volatile("" : : "r"(&value) : "memory");
  if constexpr (std::is_pointer_v<T>) asm volatile("" : : "r"(value) : "memory");
}

// Whether `address` points into an object of the collected heap that has been allocated and not yet
// reclaimed.
[[nodiscard]] inline bool is_managed(const volatile void* address) noexcept {
  return detail::is_live_object(const_cast<const void*>(address));
}

}  // namespace tricolor::gc
