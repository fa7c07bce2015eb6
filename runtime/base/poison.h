#pragma once

// Tells AddressSanitizer and valgrind's memcheck which memory of the heap is nobody's, and
// LeakSanitizer that the rest is looked at, where the program has them; else does nothing.
//
// [poison.free] What has been swept, destroyed or never handed out is poisoned; what a thread was handed to allocate
//               from is not, and neither is what lies behind an object, for scanning reads whole cells. Arrays of
//               leaves, which nobody scans, end in a red zone. What is not poisoned counts as written: scanning
//               reads all of it.
// Threads: any that may write to the memory.

#include <cstddef>
#include <cstdint>

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

#if TRICOLOR_VALGRIND
// Constant from look_for_valgrind() on, which is called before the heap is there.
extern constinit bool g_on_valgrind;
void look_for_valgrind() noexcept;
void set_accessible(const void* from, std::size_t bytes, bool accessible) noexcept;
#else
inline constexpr bool g_on_valgrind = false;
inline void look_for_valgrind() noexcept {}
inline void set_accessible(const void* /*from*/, std::size_t /*bytes*/, bool /*yes*/) noexcept {}
#endif

inline bool poisons() noexcept {
  return __builtin_expect(&__asan_poison_memory_region != nullptr || g_on_valgrind, 0);
}

inline void poison(const void* from, std::size_t bytes) noexcept {
  if (g_on_valgrind) set_accessible(from, bytes, false);
  if (&__asan_poison_memory_region != nullptr) __asan_poison_memory_region(from, bytes);
}

inline void unpoison(const void* from, std::size_t bytes) noexcept {
  if (g_on_valgrind) set_accessible(from, bytes, true);
  if (&__asan_poison_memory_region != nullptr) __asan_unpoison_memory_region(from, bytes);
}

// A word that scanning has read and goes on with: memcheck asks no more whether the program wrote
// it.
inline std::uintptr_t as_written(std::uintptr_t word) noexcept {
  if (g_on_valgrind) set_accessible(&word, sizeof word, true);
  return word;
}

// What only this memory refers to is no leak.
inline void register_leak_roots(const void* from, std::size_t bytes) noexcept {
  if (&__lsan_register_root_region != nullptr) __lsan_register_root_region(from, bytes);
}

}  // namespace tricolor::runtime
