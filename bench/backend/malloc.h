#pragma once

// malloc and free by hand; see bench/backend/tricolor.h for what the names mean.

#include <cstdint>
#include <cstdlib>
#include <new>

namespace bench::backend {

inline constexpr const char* kName = "malloc";
inline constexpr bool kCollects = false;

template <typename T>
using Field = T*;
template <typename T>
using Global = T* volatile;

inline void start() {}

template <typename T>
inline T* make() {
  void* const object = std::malloc(sizeof(T));
  if (object == nullptr) throw std::bad_alloc();
  return ::new (object) T();
}

template <typename T>
inline void release(T* object) {
  std::free(object);
}

inline void collect() {}
inline void pause_collections(bool) {}
inline std::uint64_t collections() { return 0; }

}  // namespace bench::backend
