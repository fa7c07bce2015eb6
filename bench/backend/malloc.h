#pragma once

// malloc and free by hand; see bench/backend/tricolor.h for what the names mean. There is no Weak.

#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>

#include "bench/backend/plain_pointers.h"

namespace bench::backend {

inline constexpr const char* kName = "malloc";
inline constexpr bool kCollects = false;
inline constexpr bool kByHand = true;

struct ThreadScope {
  ThreadScope() {}
};

inline void start() {}

template <typename T>
inline T* make() {
  void* const object = std::malloc(sizeof(T));
  if (object == nullptr) throw std::bad_alloc();
  if constexpr (requires { T::kLeaf; }) {
    return ::new (object) T;
  } else {
    return ::new (object) T();
  }
}
template <typename T>
inline T* make_array(std::size_t count) {
  void* const array =
      std::is_arithmetic_v<T> ? std::malloc(count * sizeof(T)) : std::calloc(count, sizeof(T));
  if (array == nullptr) throw std::bad_alloc();
  return static_cast<T*>(array);
}

template <typename T>
inline void release(T* object) {
  std::free(object);
}
template <typename T>
inline void release_array(T* array) {
  std::free(array);
}

template <typename T, void (*F)(T*)>
inline T* make_finalized() {
  return make<T>();
}
template <auto F, typename T>
inline void release_finalized(T* object) {
  F(object);
  std::free(object);
}
template <typename T>
inline T* make_destroyed() {
  return make<T>();
}
template <typename T>
inline void release_destroyed(T* object) {
  object->~T();
  std::free(object);
}
inline void finish_finalizers() {}

inline void collect() {}
inline void pause_collections(bool) {}
inline std::uint64_t collections() { return 0; }

}  // namespace bench::backend
