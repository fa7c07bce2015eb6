// Objects with a tail, arrays without clearing, and arrays that grow where they lie.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/layout.hpp>
#include <tricolor/make.hpp>

namespace tricolor::gc {

namespace detail {

// As allocate_array, with `before` bytes in front of the elements.
[[nodiscard]] TRICOLOR_API void* allocate_with_tail(std::size_t before, std::size_t count,
                                                    std::size_t element_size, std::size_t alignment,
                                                    Kind kind, std::size_t& cell_size,
                                                    const TypeInfo* type);
// Bytes that an array's cell has for elements.
[[nodiscard]] TRICOLOR_API std::size_t array_room(const void* array) noexcept;
TRICOLOR_API void set_array_size(void* array, std::size_t count) noexcept;

template <class T, class E>
inline constexpr std::size_t kTailOffset = (sizeof(T) + alignof(E) - 1) / alignof(E) * alignof(E);

template <class T, class E>
constexpr Kind tailed_kind() noexcept {
  if constexpr (kind_of<T>() == Kind::kDestructor || kind_of<E>() == Kind::kDestructor) {
    return Kind::kDestructor;
  }
  return is_leaf_v<T> && is_leaf_v<E> ? Kind::kLeaf : Kind::kScan;
}

template <class T, class E>
void destroy_tailed(void* object, std::size_t count) {
  static_cast<T*>(object)->~T();
  destroy_elements<E>(static_cast<char*>(object) + kTailOffset<T, E>, count);
}
template <class T, class E>
constexpr auto tailed_destroyer() noexcept -> void (*)(void*, std::size_t) {
  if constexpr (tailed_kind<T, E>() == Kind::kDestructor) {
    return &destroy_tailed<T, E>;
  } else {
    return nullptr;
  }
}
template <class T, class E>
inline constexpr TypeInfo kTailedType{tailed_destroyer<T, E>(), type_name<T>(), true, sizeof(T),
                                      alignof(T)};

}  // namespace detail

// The first of the elements behind `object`, which gc::make_with_tail made as exactly this T with
// elements E: an address computation.
template <class E, class T>
[[nodiscard]] E* tail_begin(T* object) noexcept {
  return reinterpret_cast<E*>(reinterpret_cast<char*>(const_cast<std::remove_cv_t<T>*>(object)) +
                              detail::kTailOffset<std::remove_cv_t<T>, std::remove_cv_t<E>>);
}

// All of them. Their number is looked up in the heap's tables; an object that is asked often keeps
// it in a field.
template <class E, class T>
[[nodiscard]] std::span<E> tail(T* object) noexcept {
  return {tail_begin<E>(object), detail::array_size_of(object, sizeof(E))};
}

// Allocates one collected object: a T constructed from `args`, behind it `count` value-initialised
// elements E, which are there before T's constructor runs. Both are scanned as their types say, and
// destroyed, T first. Throws as gc::make_array. Any thread; attaches it.
template <class T, class E, class... Args>
[[nodiscard]] T* make_with_tail(std::size_t count, Args&&... args) {
  static_assert(!std::is_array_v<T> && !std::is_reference_v<T> && !std::is_array_v<E>);
  constexpr std::size_t alignment = std::max(alignof(T), alignof(E));
  static_assert(alignment <= detail::kPageSize, "alignment beyond a page is not supported");
  constexpr detail::Kind kind = detail::tailed_kind<T, E>();
  constexpr std::size_t offset = detail::kTailOffset<T, E>;
  std::size_t cell_size = 0;
  void* const cell = detail::allocate_with_tail(offset, count, sizeof(E), alignment, kind,
                                                cell_size, &detail::kTailedType<T, E>);
#if TRICOLOR_CHECKS
  detail::record_type(cell, offset + sizeof(E) * count, &detail::kTailedType<T, E>);
#endif
  E* const elements = reinterpret_cast<E*>(static_cast<char*>(cell) + offset);
  if constexpr (!std::is_trivially_default_constructible_v<E>) {
    std::uninitialized_value_construct_n(elements, count);
  }
  T* object;
  if constexpr (std::is_trivially_destructible_v<E>) {
    object = detail::construct<T>(cell, std::forward<Args>(args)...);
  } else {
    TRICOLOR_TRY { object = detail::construct<T>(cell, std::forward<Args>(args)...); }
    TRICOLOR_CATCH(...) {
      detail::destroy_elements<E>(elements, count);
      TRICOLOR_RETHROW;
    }
  }
  if constexpr (kind == detail::Kind::kDestructor) {
    detail::store_word(detail::hidden_word(cell, cell_size, 1),
                       const_cast<void*>(static_cast<const void*>(&detail::kTailedType<T, E>)));
  }
#if TRICOLOR_ASAN
  detail::set_red_zone(cell, std::max(sizeof(T), offset + sizeof(E) * count));
#endif
  asm("" : "+r"(object));
  return object;
}

// As gc::make_array, of a type without references whose elements need no construction: their
// contents are indeterminate, and nothing is cleared.
template <class T>
[[nodiscard]] T* make_array_for_overwrite(std::size_t count) {
  static_assert(is_leaf_v<T>, "what is scanned must be cleared: use gc::make_array");
  static_assert(std::is_trivially_default_constructible_v<T> &&
                std::is_trivially_destructible_v<T> && alignof(T) <= detail::kPageSize);
  std::size_t cell_size = 0;
  void* const cell = detail::allocate_array_for_overwrite(
      count, sizeof(T), alignof(T), cell_size, &detail::kTypeInfo<std::remove_cv_t<T>, true>);
#if TRICOLOR_CHECKS
  detail::record_type(cell, sizeof(T) * count, &detail::kTypeInfo<std::remove_cv_t<T>, true>);
#endif
  std::remove_cv_t<T>* elements = static_cast<std::remove_cv_t<T>*>(cell);
#if TRICOLOR_ASAN
  detail::set_red_zone(cell, sizeof(T) * count);
#endif
  asm("" : "+r"(elements));
  return elements;
}

// Grows an array made by gc::make_array (or _for_overwrite) to `count` elements where it lies, the
// new ones value-initialised; false, and nothing has happened, where its cell has no room for them.
// Cells are rounded up by as much as a ninth. True as well for an array that is as long already.
// What a constructor throws passes through, and the array is as it was. Threads: one at a time, as
// for a std::vector.
template <class T>
[[nodiscard]] bool try_extend_array(T* array, std::size_t count) {
  const std::size_t size = array_size(array);
  if (count <= size) return true;
  if (count > detail::array_room(array) / sizeof(T)) return false;
  using Element = std::remove_cv_t<T>;
  Element* const elements = const_cast<Element*>(array);
  std::uninitialized_value_construct_n(elements + size, count - size);
  detail::set_array_size(elements, count);
#if TRICOLOR_ASAN
  detail::set_red_zone(elements, sizeof(T) * count);
#endif
  return true;
}

}  // namespace tricolor::gc
