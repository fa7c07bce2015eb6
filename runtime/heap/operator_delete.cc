// `delete` of a collected object gets a message: std::free() would take what lies before the object
// for its own notes, and end the program without a reason, or not at once.
//
// Of the operators that can be replaced these two are where the C++ library's others end. The check
// costs a comparison; what is not collected goes where it would have gone: to the next definition
// in the order of the loader. A program's own, and a sanitizer's, come before these, which are
// weak.
// Threads: any.

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/base/check.h"
#include "runtime/heap/heap_map.h"

#include <tricolor/detail/config.hpp>

// Every program refers to one of these: the operators are there in one that links an archive.
namespace tricolor::internal {
#if TRICOLOR_CHECKS
constexpr char library_with_checks = 1;
#else
constexpr char library_without_checks = 1;
#endif
}  // namespace tricolor::internal

#if !TRICOLOR_ASAN && !TRICOLOR_TSAN

// Absent from a program that is linked statically as a whole.
extern "C" __attribute__((weak)) void* dlsym(void* handle, const char* name) noexcept;
extern "C" __attribute__((weak)) int dladdr(const void* address, Dl_info* info) noexcept;

namespace {

using Delete = void (*)(void*) noexcept;
using DeleteAligned = void (*)(void*, std::align_val_t) noexcept;

void find_and_delete(void* memory) noexcept;
void find_and_delete_aligned(void* memory, std::align_val_t alignment) noexcept;

// Relaxed: whoever looks finds the same.
constinit std::atomic<Delete> g_next{find_and_delete};
constinit std::atomic<DeleteAligned> g_next_aligned{find_and_delete_aligned};

void free_aligned(void* memory, std::align_val_t /*alignment*/) noexcept { std::free(memory); }

// What follows in the loader's order; nullptr: nothing, or the C++ library's own, which calls
// free().
void* find_next(const char* name) noexcept {
  if (&dlsym == nullptr || &dladdr == nullptr) return nullptr;
  void* const found = dlsym(RTLD_NEXT, name);
  Dl_info info{};
  if (found == nullptr || dladdr(found, &info) == 0 || info.dli_fname == nullptr) return found;
  return std::strstr(info.dli_fname, "libstdc++") != nullptr ? nullptr : found;
}

__attribute__((cold, noinline)) void find_and_delete(void* memory) noexcept {
  void* const found = find_next("_ZdlPv");
  const auto next =
      found != nullptr ? reinterpret_cast<Delete>(found) : reinterpret_cast<Delete>(&std::free);
  g_next.store(next, std::memory_order_relaxed);
  next(memory);
}

__attribute__((cold, noinline)) void find_and_delete_aligned(void* memory,
                                                             std::align_val_t alignment) noexcept {
  void* const found = find_next("_ZdlPvSt11align_val_t");
  const auto next = found != nullptr ? reinterpret_cast<DeleteAligned>(found) : free_aligned;
  g_next_aligned.store(next, std::memory_order_relaxed);
  next(memory, alignment);
}

__attribute__((cold, noinline)) void refuse(const void* memory) noexcept {
  const tricolor::runtime::Cell cell = tricolor::runtime::g_heap.find(memory);
  tricolor::runtime::fatal(
      "delete of %p, which lies in the collected heap%s: what gc::make returns is not new's, and "
      "is freed by the collector when nothing refers to it. Drop the delete, or the "
      "std::unique_ptr or std::shared_ptr; gc::destroy() ends an object at once, gc::root keeps "
      "one from outside",
      memory,
      cell && tricolor::runtime::g_heap.cell_address(cell) != memory ? ", inside an object" : "");
}

}  // namespace

// The sized ones, of the C++ library, end in these.
#pragma GCC diagnostic ignored "-Wsized-deallocation"

__attribute__((weak, visibility("default"))) void operator delete(void* memory) noexcept {
  if (__builtin_expect(tricolor::runtime::g_heap.contains(memory), 0)) return refuse(memory);
  g_next.load(std::memory_order_relaxed)(memory);
}

__attribute__((weak, visibility("default"))) void operator delete(
    void* memory, std::align_val_t alignment) noexcept {
  if (__builtin_expect(tricolor::runtime::g_heap.contains(memory), 0)) return refuse(memory);
  g_next_aligned.load(std::memory_order_relaxed)(memory, alignment);
}

#endif
