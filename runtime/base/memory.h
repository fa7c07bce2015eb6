#pragma once

// Memory: ordinary memory for the library's own structures.
//
// [memory.no-handler]  what the library allocates inside a runtime section or under a lock comes from malloc, never
//                      from operator new: a std::new_handler, or an operator new of the program's, may collect or
//                      allocate collected objects, and would come back for the lock.
// Threads: any; not in a signal handler.

#include <cstddef>
#include <cstdlib>
#include <new>

#include "runtime/base/thread_order.h"

namespace tricolor::runtime {

// ThreadSanitizer sees these, called by the library too, and what the C library does with the
// memory (memmove): blocks are told of as they come and go. nullptr when memory is gone.
inline void* allocate_plain(size_t bytes) noexcept {
  void* const memory = std::malloc(bytes);
  learn_order();
  tell_order();
  return memory;
}
inline void free_plain(void* memory) noexcept {
  learn_order();
  std::free(memory);
  tell_order();
}

// For standard containers.
template <class T>
struct MallocAllocator {
  using value_type = T;

  MallocAllocator() noexcept = default;
  template <class U>
  MallocAllocator(const MallocAllocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(size_t count) {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    size_t bytes = 0;
    void* const memory =
        __builtin_mul_overflow(count, sizeof(T), &bytes) ? nullptr : allocate_plain(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) noexcept { free_plain(memory); }

  template <class U>
  bool operator==(const MallocAllocator<U>&) const noexcept {
    return true;
  }
};

// A base of what is made by a new expression.
struct FromMalloc {
  static void* operator new(size_t bytes) {
    void* const memory = allocate_plain(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  static void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
    return allocate_plain(bytes);
  }
  static void* operator new(size_t, void* place) noexcept { return place; }
  static void operator delete(void* memory) noexcept { free_plain(memory); }
};

}  // namespace tricolor::runtime
