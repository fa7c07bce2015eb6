#pragma once

// Tells AddressSanitizer which memory of the heap is nobody's, and LeakSanitizer that the rest is
// looked at, where the program has them; else does nothing.
//
// [poison.free] What has been swept, destroyed or never handed out is poisoned; what a thread was handed to allocate
//               from is not, and neither is what lies behind an object, for scanning reads whole cells. Arrays of
//               leaves, which nobody scans, end in a red zone.
// Threads: any that may write to the memory.

#include <cstddef>

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the sanitizer's names
__attribute__((weak)) void __asan_poison_memory_region(void const volatile* from,
                                                       std::size_t bytes);
__attribute__((weak)) void __asan_unpoison_memory_region(void const volatile* from,
                                                         std::size_t bytes);
__attribute__((weak)) void __lsan_register_root_region(const void* from, std::size_t bytes);
// NOLINTEND(bugprone-reserved-identifier)
}

namespace tricolor::runtime {

inline bool poisons() noexcept {
  return __builtin_expect(&__asan_poison_memory_region != nullptr, 0);
}

inline void poison(const void* from, std::size_t bytes) noexcept {
  if (poisons()) __asan_poison_memory_region(from, bytes);
}

inline void unpoison(const void* from, std::size_t bytes) noexcept {
  if (poisons()) __asan_unpoison_memory_region(from, bytes);
}

// What only this memory refers to is no leak.
inline void register_leak_roots(const void* from, std::size_t bytes) noexcept {
  if (&__lsan_register_root_region != nullptr) __lsan_register_root_region(from, bytes);
}

}  // namespace tricolor::runtime
