// How an object of type T lies in its cell: kind, size class and the hidden words at the end of the
// cell.
//
//   scan, leaf         [ object ........................ ]      arrays: [ elements .. | count ]
//   destructor         [ object ............. | TypeInfo ]      arrays: [ elements .. | count | TypeInfo ]
//   whole leaf arrays  [ elements .................... ]      they fill the cell: the count follows from its size
//
// The hidden words are the last words of the cell, so a pointer one past the last element of an
// array still points into its own cell, but for whole ones. A TypeInfo word of zero means that
// there is nothing to destroy (not yet constructed, or destroyed already).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <tricolor/detail/config.hpp>
#include <tricolor/detail/size_class.hpp>

namespace tricolor::gc {

// Whether objects of type T hold no reference, so that they are never scanned: arithmetic types,
// enumerations, arrays of them, and trivially copyable classes whose alignment is too small for a
// reference anywhere inside. Specialise it as std::true_type for a type of your own that holds no
// gc::ptr or gc::atomic. A type with a non-trivial destructor is scanned all the same.
template <class T>
struct is_leaf : std::bool_constant<std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                                    (std::is_class_v<T> && std::is_trivially_copyable_v<T> &&
                                     alignof(T) < alignof(void*))> {};
template <class T>
struct is_leaf<const T> : is_leaf<T> {};
template <class T, std::size_t N>
struct is_leaf<T[N]> : is_leaf<T> {};

template <class T>
inline constexpr bool is_leaf_v = is_leaf<T>::value;

// Specialise it as true for a type whose destructor need not run when the collector finds an object
// dead: all it does is to give back what the collector takes back anyhow, or what goes with the
// process. Objects of the type then cost what those without a destructor cost. gc::destroy does not
// run the destructor either. Before the first gc::make<T>.
template <class T>
inline constexpr bool skip_destructor = false;

namespace detail {

// What the library knows of a type: how to end an object of it, and what observers show. One
// constant object for each type that is made; of arrays and blocks, size and alignment are an
// element's.
struct TypeInfo {
  // nullptr where there is nothing to run. count: array elements, 1 for a single object
  void (*destroy)(void* object, std::size_t count);
  std::string_view name;
  bool array;
  std::size_t size;
  std::size_t alignment;
};

template <class T>
constexpr std::string_view type_name() noexcept {
  std::string_view s = __PRETTY_FUNCTION__;
  const std::size_t from = s.find("T = ");
  if (from == std::string_view::npos) return s;
  s.remove_prefix(from + 4);
  const std::size_t gcc_end = s.rfind("; std::string_view = ");
  return s.substr(0, gcc_end != std::string_view::npos ? gcc_end : s.rfind(']'));
}

// Computed once: the checking build asks for it at every construction of a reference.
template <class T>
inline constexpr std::string_view kTypeName = type_name<T>();

TRICOLOR_API void module_loaded(const void* inside) noexcept;
TRICOLOR_API void module_unloads(const void* inside) noexcept;

// Of each program and shared library that has types with a destructor: tells when it is unloaded.
// Hidden, so that each has its own, and g++ does not make it one that keeps the library loaded.
template <class = void>
class __attribute__((visibility("hidden"))) Module {
 public:
  Module() noexcept { module_loaded(this); }
  ~Module() { module_unloads(this); }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  static Module instance;
};
template <class Unused>
Module<Unused> Module<Unused>::instance;

// Of objects that were made as T, so that a virtual destructor need not be looked up; one that does
// nothing leaves a mere return, by which the collector knows it.
template <class T>
void destroy_elements(void* object, std::size_t count) {
  static_cast<void>(&Module<>::instance);
  T* elements = static_cast<T*>(object);
  while (count > 0) elements[--count].T::~T();
}

template <class T>
constexpr Kind kind_of() noexcept {
  if constexpr (!std::is_trivially_destructible_v<T> && !skip_destructor<T>) {
    return Kind::kDestructor;
  }
  return is_leaf_v<T> ? Kind::kLeaf : Kind::kScan;
}

template <class T>
constexpr auto destroyer() noexcept -> void (*)(void*, std::size_t) {
  if constexpr (kind_of<T>() == Kind::kDestructor) {
    return &destroy_elements<T>;
  } else {
    return nullptr;
  }
}

template <class T, bool Array>
inline constexpr TypeInfo kTypeInfo{destroyer<T>(), type_name<T>(), Array, sizeof(T), alignof(T)};

// Whether a leaf array of so many bytes is laid out without a count, which would push it into the
// next size class: powers of two, and large ones of whole granules. Others keep the word, so that a
// gc::ptr one past the end of references still refers to the array.
constexpr bool fills_cell(std::size_t bytes) noexcept {
  if (bytes > kMaxSmallSize) return bytes % kGranule == 0;
  return bytes >= kGranule && std::has_single_bit(bytes);
}

inline constexpr std::size_t kWord = sizeof(void*);

// Bytes of the hidden words of an array (the count, and the TypeInfo where there is one).
constexpr std::size_t array_extra(Kind kind) noexcept {
  return kind == Kind::kDestructor ? 2 * kWord : kWord;
}

// The cell size to ask for, so that the object lies aligned: a cell of a span is aligned to every
// power of two that divides its size, and spans to a page.
constexpr std::size_t aligned_cell_size(std::size_t size, std::size_t alignment) noexcept {
  if (alignment <= kGranule) return size;
  if (size > kMaxSmallSize) return size;
  for (unsigned cls = size_class_of(size); cls <= kSmallClasses; ++cls) {
    if (class_size(cls) % alignment == 0) return class_size(cls);
  }
  return kMaxSmallSize + 1;
}

// Bytes that a cell of a small object, or the span of a large one, offers for a request of `size`
// bytes; the hidden words are its last ones.
constexpr std::size_t cell_size_for(std::size_t size) noexcept {
  if (size <= kMaxSmallSize) return class_size(size_class_of(size));
  return (size + kGranule - 1) / kGranule * kGranule;
}

inline void*& hidden_word(void* cell, std::size_t cell_size, unsigned from_end) noexcept {
  return *reinterpret_cast<void**>(static_cast<char*>(cell) + cell_size - from_end * kWord);
}

// Clears a fresh cell and keeps the compiler from treating the zeroes as dead stores before a
// constructor. By 16 bytes up to kInlineZero: left to itself, gcc chooses `rep stos` from 128 bytes
// on, which costs 15 to 20 ns however few they are.
template <std::size_t Size>
TRICOLOR_ALWAYS_INLINE void zero_cell(void* cell) noexcept {
  constexpr std::size_t kInlineZero = 256;
  typedef long long Vector __attribute__((vector_size(16), may_alias));
  if constexpr (Size <= kInlineZero) {
    Vector* const words = static_cast<Vector*>(cell);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < Size / sizeof(Vector); ++i) {
      words[i] = Vector{};
      asm("" : "+m"(words[i]));  // one store each: merged, they would be `rep stos` again
    }
  } else {
    std::size_t size = Size;
    asm("" : "+r"(size));  // of a size that it does not know, the compiler makes a call
    __builtin_memset(cell, 0, size);
  }
  asm volatile("" : "+m"(*static_cast<char(*)[Size]>(cell)));
}

}  // namespace detail
}  // namespace tricolor::gc
