#pragma once

// Boehm's collector with its defaults; see bench/backend/tricolor.h for what the names mean.

#include <gc.h>

#include <cstdint>
#include <new>

namespace bench::backend {

inline constexpr const char* kName = "boehm";
inline constexpr bool kCollects = true;

template <typename T>
using Field = T*;
// Static data is scanned; volatile, or the compiler would keep the reference elsewhere or nowhere.
template <typename T>
using Global = T* volatile;

inline void start() {
  GC_INIT();
  GC_set_warn_proc(GC_ignore_warn_proc);
}

template <typename T>
inline T* make() {
  void* const object = GC_MALLOC(sizeof(T));
  if (object == nullptr) throw std::bad_alloc();
  return ::new (object) T();
}

template <typename T>
inline void release(T*) {}

// Its sweep is lazy and not included.
inline void collect() { GC_gcollect(); }

inline void pause_collections(bool pause) {
  if (pause) {
    GC_disable();
  } else {
    GC_enable();
  }
}

inline std::uint64_t collections() { return GC_get_gc_no(); }

}  // namespace bench::backend
