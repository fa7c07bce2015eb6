// The allocating functions of Boehm's collector as the program sees them: each calls the real one
// and notes what it did.
//
// An uncollectable block is a root. Free lists that a program fills by GC_generic_malloc_many get
// one object at a time.

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tools/recorder/output.h"
#include "tools/recorder/recorder.h"
#include "tools/recorder/watch_snapshots.h"

#define TRICOLOR_INTERPOSE extern "C" __attribute__((visibility("default")))

namespace {

using tools::recorder::Kind;

// Kinds of the collector's own numbering: 0 holds no references.
constexpr int kPointerFree = 0;

template <typename Function>
Function next(std::atomic<void*>& known, const char* name) {
  void* function = known.load(std::memory_order_relaxed);  // found anew at worst
  if (function == nullptr) {
    function = dlsym(RTLD_NEXT, name);
    if (function == nullptr) {
      tools::recorder::complain("the program has no function ", name);
      _exit(127);
    }
    known.store(function, std::memory_order_relaxed);
  }
  return reinterpret_cast<Function>(function);
}

// The collector takes the place of one function that this library stands in front of for another:
// only the outermost call is the program's.
__thread unsigned depth = 0;

template <typename Allocate>
void* noted(Kind kind, size_t bytes, Allocate allocate) {
  const bool is_outermost = depth == 0 && tools::recorder::is_recording();
  if (is_outermost) tools::recorder::snapshot_if_due();
  ++depth;
  void* const block = allocate();
  --depth;
  if (block != nullptr && is_outermost) tools::recorder::note_alloc(kind, block, bytes);
  return block;
}

__attribute__((constructor)) void on_load() { tools::recorder::start(); }
__attribute__((destructor)) void on_unload() { tools::recorder::finish(); }

}  // namespace

#define TRICOLOR_NEXT(type, name)     \
  static std::atomic<void*> known_{}; \
  const auto real = next<type>(known_, name)

#define TRICOLOR_ALLOCATE(name, kind)                       \
  TRICOLOR_INTERPOSE void* name(size_t bytes) {             \
    TRICOLOR_NEXT(void* (*)(size_t), #name);                \
    return noted(kind, bytes, [=] { return real(bytes); }); \
  }

TRICOLOR_ALLOCATE(GC_malloc, Kind::kAllocZeroed)
TRICOLOR_ALLOCATE(GC_malloc_atomic, Kind::kAllocTyped)
TRICOLOR_ALLOCATE(GC_malloc_ignore_off_page, Kind::kAllocZeroed)
TRICOLOR_ALLOCATE(GC_malloc_atomic_ignore_off_page, Kind::kAllocTyped)

TRICOLOR_INTERPOSE void* GC_malloc_uncollectable(size_t bytes) {
  TRICOLOR_NEXT(void* (*)(size_t), "GC_malloc_uncollectable");
  const bool is_outermost = depth == 0 && tools::recorder::is_recording();
  void* const block = noted(Kind::kAllocZeroed, bytes, [=] { return real(bytes); });
  if (block != nullptr && is_outermost) tools::recorder::pin(block);
  return block;
}

TRICOLOR_INTERPOSE void* GC_generic_malloc(size_t bytes, int kind) {
  TRICOLOR_NEXT(void* (*)(size_t, int), "GC_generic_malloc");
  return noted(kind == kPointerFree ? Kind::kAllocTyped : Kind::kAllocZeroed, bytes,
               [=] { return real(bytes, kind); });
}
TRICOLOR_INTERPOSE void* GC_malloc_kind(size_t bytes, int kind) {
  TRICOLOR_NEXT(void* (*)(size_t, int), "GC_malloc_kind");
  return noted(kind == kPointerFree ? Kind::kAllocTyped : Kind::kAllocZeroed, bytes,
               [=] { return real(bytes, kind); });
}
TRICOLOR_INTERPOSE void GC_generic_malloc_many(size_t bytes, int kind, void** list) {
  *list = GC_generic_malloc(bytes, kind);
  if (*list != nullptr) *static_cast<void**>(*list) = nullptr;
}
TRICOLOR_INTERPOSE void* GC_malloc_many(size_t bytes) {
  void* const block = GC_malloc(bytes);
  if (block != nullptr) *static_cast<void**>(block) = nullptr;
  return block;
}
TRICOLOR_INTERPOSE void* GC_malloc_explicitly_typed(size_t bytes, uintptr_t descriptor) {
  TRICOLOR_NEXT(void* (*)(size_t, uintptr_t), "GC_malloc_explicitly_typed");
  return noted(Kind::kAllocZeroed, bytes, [=] { return real(bytes, descriptor); });
}
TRICOLOR_INTERPOSE void* GC_memalign(size_t alignment, size_t bytes) {
  TRICOLOR_NEXT(void* (*)(size_t, size_t), "GC_memalign");
  return noted(Kind::kAllocZeroed, bytes, [=] { return real(alignment, bytes); });
}

TRICOLOR_INTERPOSE char* GC_strdup(const char* text) {
  if (text == nullptr) return nullptr;
  const size_t bytes = strlen(text) + 1;
  void* const copy = GC_malloc_atomic(bytes);
  return copy == nullptr ? nullptr : static_cast<char*>(memcpy(copy, text, bytes));
}

TRICOLOR_INTERPOSE void* GC_realloc(void* block, size_t bytes) {
  TRICOLOR_NEXT(void* (*)(void*, size_t), "GC_realloc");
  if (block == nullptr) return GC_malloc(bytes);
  if (depth != 0 || !tools::recorder::is_recording()) return real(block, bytes);
  tools::recorder::snapshot_if_due();
  const Kind kind = tools::recorder::may_refer(block) ? Kind::kAllocZeroed : Kind::kAllocTyped;
  tools::recorder::note_free(block);
  ++depth;
  void* const moved = real(block, bytes);
  --depth;
  if (moved != nullptr) tools::recorder::note_alloc(kind, moved, bytes);
  return moved;
}

TRICOLOR_INTERPOSE void GC_free(void* block) {
  TRICOLOR_NEXT(void (*)(void*), "GC_free");
  if (block != nullptr && depth == 0 && tools::recorder::is_recording()) {
    tools::recorder::unpin(block);
    tools::recorder::note_free(block);
  }
  ++depth;
  real(block);
  --depth;
}
