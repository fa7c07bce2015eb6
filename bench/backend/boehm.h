#pragma once

// Boehm's collector with its defaults; see bench/backend/tricolor.h for what the names mean.

#define GC_THREADS 1
#define GC_NO_THREAD_REDIRECTS 1
#include <gc.h>

#include <cstdint>
#include <new>
#include <type_traits>

#include "bench/backend/plain_pointers.h"

namespace bench::backend {

inline constexpr const char* kName = "boehm";
inline constexpr bool kCollects = true;
inline constexpr bool kByHand = false;

inline void start() {
  GC_INIT();
  GC_allow_register_threads();
  GC_set_warn_proc(GC_ignore_warn_proc);
}

class ThreadScope {
 public:
  ThreadScope() {
    GC_stack_base base{};
    GC_get_stack_base(&base);
    GC_register_my_thread(&base);
  }
  ~ThreadScope() { GC_unregister_my_thread(); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;
};

template <typename T>
inline T* make() {
  if constexpr (requires { T::kLeaf; }) {
    void* const object = GC_MALLOC_ATOMIC(sizeof(T));
    if (object == nullptr) throw std::bad_alloc();
    return ::new (object) T;
  } else {
    void* const object = GC_MALLOC(sizeof(T));
    if (object == nullptr) throw std::bad_alloc();
    return ::new (object) T();
  }
}
template <typename T>
inline T* make_array(std::size_t count) {
  void* const array =
      std::is_arithmetic_v<T> ? GC_MALLOC_ATOMIC(count * sizeof(T)) : GC_MALLOC(count * sizeof(T));
  if (array == nullptr) throw std::bad_alloc();
  return static_cast<T*>(array);
}

template <typename T>
inline void release(const T&) {}
template <typename T>
inline void release_array(const T&) {}

template <typename T>
class Weak {
 public:
  void set(T* object) {
    if (link_ != nullptr) GC_unregister_disappearing_link(&link_);
    link_ = object;
    if (GC_general_register_disappearing_link(&link_, object) == GC_NO_MEMORY)
      throw std::bad_alloc();
  }
  // Under the collector's lock: until the reference is on this stack, a collection may clear it.
  T* lock() const {
    return static_cast<T*>(GC_call_with_alloc_lock(
        [](void* link) { return *static_cast<void**>(link); }, const_cast<void**>(&link_)));
  }

 private:
  void* link_ = nullptr;
};

template <typename T, void (*F)(T*)>
inline T* make_finalized() {
  T* const object = make<T>();
  GC_register_finalizer(
      object, [](void* dead, void*) { F(static_cast<T*>(dead)); }, nullptr, nullptr, nullptr);
  return object;
}
template <auto F, typename T>
inline void release_finalized(const T&) {}
template <typename T>
inline void destroy(T* object) {
  object->~T();
}
template <typename T>
inline T* make_destroyed() {
  return make_finalized<T, destroy<T>>();
}
template <typename T>
inline void release_destroyed(const T&) {}
inline void finish_finalizers() {
  GC_gcollect();
  while (GC_invoke_finalizers() > 0) {
  }
}

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
