// The functions behind the public headers of traced memory.

#include <new>

#include "traced/cells.h"

#include <tricolor/detail/traced_memory.hpp>

namespace tricolor::gc::detail {

void* try_allocate_traced(std::size_t bytes) noexcept { return traced::allocate(bytes); }

void* try_allocate_traced(std::size_t bytes, std::size_t alignment) noexcept {
  return traced::allocate_aligned(bytes, alignment);
}

void* allocate_traced(std::size_t bytes) {
  void* const memory = traced::allocate(bytes);
  if (__builtin_expect(memory == nullptr, 0)) throw std::bad_alloc();
  return memory;
}

void* allocate_traced(std::size_t bytes, std::size_t alignment) {
  void* const memory = traced::allocate_aligned(bytes, alignment);
  if (__builtin_expect(memory == nullptr, 0)) throw std::bad_alloc();
  return memory;
}

void free_traced(void* memory) noexcept { traced::free(memory); }

}  // namespace tricolor::gc::detail
