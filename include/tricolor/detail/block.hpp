// Blocks: the storage of the collected containers, one cell each.
//
//   trivially destructible elements     [ elements ................ | capacity ]      a plain array
//   elements with a destructor          [ live | cell size | elements ..... | bytes | TypeInfo ]
//
// In the second form the block destroys its first `live` elements when it is found dead. A
// container inside a dead object must not look at its block, which may have died before it
// (ending_dead_object()); one on a stack, or in an object that gc::destroy ends, destroys the
// elements itself and disarms the block.
//
// A block is zero beyond its elements unless they are leaves: what was removed keeps nothing alive.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/detail/exceptions.hpp>
#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>

namespace tricolor::gc::detail {

// Whether this thread is running the destructor of an object that the collector found dead.
[[nodiscard]] TRICOLOR_API bool ending_dead_object() noexcept;

template <class T>
inline constexpr bool has_destructor = !std::is_trivially_destructible_v<T>;

struct BlockHeader {
  std::size_t live;
  std::size_t cell_size;
};

template <class T>
inline constexpr std::size_t kBlockOffset = has_destructor<T>
                                                ? (sizeof(BlockHeader) + alignof(T) - 1) /
                                                      alignof(T) * alignof(T)
                                                : 0;

template <class T>
inline constexpr std::size_t kMostElements = PTRDIFF_MAX / sizeof(T);

template <class T>
BlockHeader& block_header(T* elements) noexcept {
  return *reinterpret_cast<BlockHeader*>(reinterpret_cast<char*>(elements) - kBlockOffset<T>);
}

template <class T>
void destroy_block(void* block, std::size_t) {
  BlockHeader& header = *static_cast<BlockHeader*>(block);
  T* const elements = reinterpret_cast<T*>(static_cast<char*>(block) + kBlockOffset<T>);
  for (std::size_t n = std::exchange(header.live, 0); n > 0; --n) elements[n - 1].~T();
}

template <class T>
inline constexpr TypeInfo kBlockType{&destroy_block<T>, type_name<T>(), true, sizeof(T),
                                     alignof(T)};

// Room for at least `capacity` elements, none constructed; `capacity` becomes what there is room
// for. std::bad_alloc.
template <class T>
[[nodiscard]] T* allocate_block(std::size_t& capacity) {
  static_assert(alignof(T) <= kPageSize, "alignment beyond a page is not supported");
  constexpr Kind kind = kind_of<T>();
  constexpr std::size_t offset = kBlockOffset<T>;
  if (capacity > kMostElements<T>) TRICOLOR_THROW(std::bad_array_new_length());
  std::size_t cell_size = 0;
  if constexpr (has_destructor<T>) {
    const std::size_t bytes = offset + capacity * sizeof(T);
    char* const cell = static_cast<char*>(
        allocate_array(bytes, 1, alignof(T), Kind::kDestructor, cell_size, &kBlockType<T>));
    BlockHeader& header = *::new (cell) BlockHeader{0, cell_size};
#if TRICOLOR_CHECKS
    record_type(cell, bytes, &kBlockType<T>);
#endif
    store_word(hidden_word(&header, cell_size, 1),
               const_cast<void*>(static_cast<const void*>(&kBlockType<T>)));
    capacity = (cell_size - array_extra(Kind::kDestructor) - offset) / sizeof(T);
    T* elements = reinterpret_cast<T*>(cell + offset);
    asm("" : "+r"(elements));
    return elements;
  } else {
    void* const cell =
        kind == Kind::kLeaf
            ? allocate_array_for_overwrite(capacity, sizeof(T), alignof(T), cell_size,
                                           &kTypeInfo<T, true>)
            : allocate_array(capacity, sizeof(T), alignof(T), kind, cell_size, &kTypeInfo<T, true>);
#if TRICOLOR_CHECKS
    record_type(cell, sizeof(T) * capacity, &kTypeInfo<T, true>);
#endif
    // A leaf block may fill its cell and have no word for the count.
    const std::size_t bytes = capacity * sizeof(T);
    const bool whole =
        kind == Kind::kLeaf && fills_cell(bytes) && aligned_cell_size(bytes, alignof(T)) == bytes;
    if (!whole) {
      capacity = (cell_size - array_extra(kind)) / sizeof(T);
      store_word(hidden_word(cell, cell_size, 1),
                 reinterpret_cast<void*>(capacity));  // NOLINT(performance-no-int-to-ptr)
    }
    T* elements = static_cast<T*>(cell);
    asm("" : "+r"(elements));
    return elements;
  }
}

// Notes that the first `live` elements of the block have to be destroyed with it.
template <class T>
TRICOLOR_ALWAYS_INLINE void set_live(T* elements, std::size_t live) noexcept {
  if constexpr (has_destructor<T>) block_header(elements).live = live;
}

// The elements are destroyed: the finalizer thread need not look at the block.
template <class T>
void disarm_block(T* elements) noexcept {
  if constexpr (has_destructor<T>) {
    BlockHeader& header = block_header(elements);
    header.live = 0;
    store_word(hidden_word(&header, header.cell_size, 1), static_cast<void*>(nullptr));
  }
}

template <class T>
struct is_reference : std::false_type {};
template <class T>
struct is_reference<ptr<T>> : std::true_type {};

// Elements that may be moved as bytes, because they are plain or because move_bytes() shades them.
template <class T>
inline constexpr bool moves_as_bytes =
#if TRICOLOR_CHECKS
    std::is_trivially_copyable_v<T>;  // the checks want to see each reference constructed
#else
    std::is_trivially_copyable_v<T> || is_reference<T>::value;
#endif

// The barrier for many stores at once: all of them first, then the test. `from` stays in a register
// or frame until all are shaded, so that a handshake in between finds the elements through it.
template <class T>
void move_bytes(T* to, const T* from, std::size_t count) noexcept {
  if (count == 0) return;
  std::memmove(static_cast<void*>(to), static_cast<const void*>(from), count * sizeof(T));
  if constexpr (is_reference<T>::value) {
    asm volatile("" : : "r"(to), "r"(from) : "memory");
    if (__builtin_expect(load_word(TRICOLOR_THIS_THREAD.marking), 0)) {
      for (std::size_t i = 0; i < count; ++i) {
        shade_slow(const_cast<void*>(static_cast<const volatile void*>(to[i].get())));
      }
    }
    asm volatile("" : : "r"(to), "r"(from) : "memory");
  }
}

// Destroys elements, and clears what is scanned: no stale reference is left.
template <class T>
void end_elements(T* first, std::size_t count) noexcept {
  if constexpr (has_destructor<T>) {
    for (std::size_t n = count; n > 0; --n) first[n - 1].~T();
  }
  if constexpr (!is_leaf_v<T>) {
    if (count > 0) std::memset(static_cast<void*>(first), 0, count * sizeof(T));
  }
}

// Moves (or copies, where a move may throw) `count` elements into raw memory, where on an exception
// nothing is left. The old ones stay to be destroyed.
template <class T>
void relocate(T* to, T* from, std::size_t count) {
  if constexpr (moves_as_bytes<T>) {
    move_bytes(to, from, count);
  } else {
    std::size_t done = 0;
    TRICOLOR_TRY {
      for (; done < count; ++done) {
        std::construct_at(to + done, std::move_if_noexcept(from[done]));
      }
    }
    TRICOLOR_CATCH(...) {
      end_elements(to, done);
      TRICOLOR_RETHROW;
    }
  }
}

}  // namespace tricolor::gc::detail
