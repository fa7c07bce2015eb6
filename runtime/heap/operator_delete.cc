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

namespace {

using Delete = void (*)(void*) noexcept;
using DeleteAligned = void (*)(void*, std::align_val_t) noexcept;

// Relaxed: whoever looks finds the same.
constinit std::atomic<Delete> g_next{nullptr};
constinit std::atomic<DeleteAligned> g_next_aligned{nullptr};

__attribute__((cold, noinline)) void find_next() noexcept {
  Delete next = [](void* memory) noexcept { std::free(memory); };
  DeleteAligned aligned = [](void* memory, std::align_val_t) noexcept { std::free(memory); };
  if (&dlsym != nullptr) {
    if (void* const found = dlsym(RTLD_NEXT, "_ZdlPv")) next = reinterpret_cast<Delete>(found);
    if (void* const found = dlsym(RTLD_NEXT, "_ZdlPvSt11align_val_t"))
      aligned = reinterpret_cast<DeleteAligned>(found);
  }
  g_next.store(next, std::memory_order_relaxed);
  g_next_aligned.store(aligned, std::memory_order_relaxed);
}

[[noreturn, gnu::cold, gnu::noinline]] void refuse(const void* memory) noexcept {
  const tricolor::runtime::Cell cell = tricolor::runtime::g_heap.find(memory);
  tricolor::runtime::fatal(
      "delete of %p, which lies in the collected heap%s: what gc::make returns is not new's, and "
      "is "
      "freed by the collector when nothing refers to it. Drop the delete, or the std::unique_ptr "
      "or "
      "std::shared_ptr; gc::destroy() ends an object at once, gc::root keeps one from outside",
      memory,
      cell && tricolor::runtime::g_heap.cell_address(cell) != memory ? ", inside an object" : "");
}

}  // namespace

// The sized ones, of the C++ library, end in these.
#pragma GCC diagnostic ignored "-Wsized-deallocation"

__attribute__((weak, visibility("default"))) void operator delete(void* memory) noexcept {
  if (__builtin_expect(tricolor::runtime::g_heap.contains(memory), 0)) refuse(memory);
  Delete next = g_next.load(std::memory_order_relaxed);
  if (__builtin_expect(next == nullptr, 0)) {
    find_next();
    next = g_next.load(std::memory_order_relaxed);
  }
  next(memory);
}

__attribute__((weak, visibility("default"))) void operator delete(
    void* memory, std::align_val_t alignment) noexcept {
  if (__builtin_expect(tricolor::runtime::g_heap.contains(memory), 0)) refuse(memory);
  if (g_next_aligned.load(std::memory_order_relaxed) == nullptr) find_next();
  g_next_aligned.load(std::memory_order_relaxed)(memory, alignment);
}

#endif
