// The allocator's functions as the program sees them: each calls the next definition (usually the C
// library's) and notes what it did.
//
// free() is noted before the block goes back and the others after the block was made:
// [recorder.free-first]. Looking up the next definitions may itself allocate; such blocks come from
// a small arena and are never given back.

#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tools/recorder/output.h"
#include "tools/recorder/recorder.h"
#include "tools/recorder/watch.h"

#define TRICOLOR_INTERPOSE extern "C" __attribute__((visibility("default")))

namespace {

using tools::recorder::Kind;

struct Next {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  void* (*memalign)(size_t, size_t);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
};

Next next_functions;
// kReady is written once, after next_functions (release), and read before their use (acquire).
enum class Lookup : int { kNone, kRunning, kReady };
std::atomic<Lookup> lookup{Lookup::kNone};

alignas(16) std::byte arena[32 * 1024];
std::atomic<size_t> arena_used{0};

bool is_in_arena(const void* block) {
  const auto at = reinterpret_cast<uintptr_t>(block) - reinterpret_cast<uintptr_t>(arena);
  return at < sizeof arena;
}

// The block's size stands in front of it. The arena is never reused, so it is zero.
void* arena_alloc(size_t bytes) {
  const size_t whole = 16 + ((bytes + 15) & ~size_t{15});
  const size_t at = arena_used.fetch_add(whole, std::memory_order_relaxed);
  if (bytes > sizeof arena || at + whole > sizeof arena) {
    errno = ENOMEM;
    return nullptr;
  }
  std::memcpy(arena + at, &bytes, sizeof bytes);
  return arena + at + 16;
}

template <typename Function>
void find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  if (function == nullptr) {
    tools::recorder::complain("the C library has no function ", name);
    _exit(127);
  }
}

// False while the lookup itself is running, which happens on the first allocation of the process,
// before there is a second thread.
bool is_ready() {
  const Lookup now = lookup.load(std::memory_order_acquire);
  if (now == Lookup::kReady) return true;
  if (now == Lookup::kRunning) return false;
  lookup.store(Lookup::kRunning, std::memory_order_relaxed);
  find(next_functions.malloc, "malloc");
  find(next_functions.calloc, "calloc");
  find(next_functions.realloc, "realloc");
  find(next_functions.free, "free");
  find(next_functions.memalign, "memalign");
  find(next_functions.posix_memalign, "posix_memalign");
  find(next_functions.aligned_alloc, "aligned_alloc");
  find(next_functions.valloc, "valloc");
  find(next_functions.pvalloc, "pvalloc");
  lookup.store(Lookup::kReady, std::memory_order_release);
  return true;
}

void* noted(void* block, size_t bytes, Kind kind = Kind::kAlloc, size_t alignment = 1) {
  if (block != nullptr && tools::recorder::is_recording()) {
    tools::recorder::note_alloc(kind, block, bytes,
                                static_cast<unsigned>(std::bit_width(alignment) - 1));
  }
  return block;
}

// What the copy stores is seen as any other copy is.
void* reallocate_by_copy(void* block, size_t bytes) {
  void* const moved = bytes == 0 ? nullptr : malloc(bytes);
  if (moved == nullptr && bytes != 0) return nullptr;
  if (moved != nullptr) memcpy(moved, block, std::min(bytes, malloc_usable_size(block)));
  free(block);
  return moved;
}

void* reallocate(void* block, size_t bytes) {
  if (is_in_arena(block)) {
    size_t old_bytes = 0;
    std::memcpy(&old_bytes, static_cast<std::byte*>(block) - 16, sizeof old_bytes);
    void* moved = malloc(bytes);
    if (moved != nullptr) std::memcpy(moved, block, bytes < old_bytes ? bytes : old_bytes);
    return moved;
  }
  if (!tools::recorder::is_recording()) return next_functions.realloc(block, bytes);
  if (tools::recorder::watch::kCopiesReallocs) return reallocate_by_copy(block, bytes);
  if (bytes == 0) {
    // The C library frees the block here.
    tools::recorder::note_free(block);
    return next_functions.realloc(block, bytes);
  }
  const uint64_t before = tools::recorder::begin_realloc(block);
  void* moved = next_functions.realloc(block, bytes);
  if (moved == nullptr) {
    tools::recorder::cancel_realloc(before, block);
  } else {
    tools::recorder::end_realloc(before, moved, bytes);
  }
  return moved;
}

__attribute__((constructor)) void on_load() {
  is_ready();
  tools::recorder::start();
}

__attribute__((destructor)) void on_unload() { tools::recorder::finish(); }

}  // namespace

TRICOLOR_INTERPOSE void* malloc(size_t bytes) {
  if (!is_ready()) return arena_alloc(bytes);
  return noted(next_functions.malloc(bytes), bytes);
}

TRICOLOR_INTERPOSE void* calloc(size_t count, size_t bytes) {
  if (!is_ready()) {
    size_t whole = 0;
    return __builtin_mul_overflow(count, bytes, &whole) ? nullptr : arena_alloc(whole);
  }
  return noted(next_functions.calloc(count, bytes), count * bytes, Kind::kAllocZeroed);
}

TRICOLOR_INTERPOSE void free(void* block) {
  if (block == nullptr || is_in_arena(block) || !is_ready()) return;
  if (tools::recorder::is_recording()) tools::recorder::note_free(block);
  next_functions.free(block);
}

TRICOLOR_INTERPOSE void* realloc(void* block, size_t bytes) {
  if (block == nullptr) return malloc(bytes);
  if (!is_ready()) return nullptr;
  return reallocate(block, bytes);
}

TRICOLOR_INTERPOSE void* reallocarray(void* block, size_t count, size_t bytes) {
  size_t whole = 0;
  if (__builtin_mul_overflow(count, bytes, &whole)) {
    errno = ENOMEM;
    return nullptr;
  }
  return realloc(block, whole);
}

TRICOLOR_INTERPOSE void* memalign(size_t alignment, size_t bytes) {
  if (!is_ready()) return nullptr;
  return noted(next_functions.memalign(alignment, bytes), bytes, Kind::kAllocAligned, alignment);
}

TRICOLOR_INTERPOSE int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (!is_ready()) return ENOMEM;
  const int result = next_functions.posix_memalign(out, alignment, bytes);
  if (result == 0) noted(*out, bytes, Kind::kAllocAligned, alignment);
  return result;
}

TRICOLOR_INTERPOSE void* aligned_alloc(size_t alignment, size_t bytes) {
  if (!is_ready()) return nullptr;
  return noted(next_functions.aligned_alloc(alignment, bytes), bytes, Kind::kAllocAligned,
               alignment);
}

TRICOLOR_INTERPOSE void* valloc(size_t bytes) {
  if (!is_ready()) return nullptr;
  return noted(next_functions.valloc(bytes), bytes, Kind::kAllocAligned,
               static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

TRICOLOR_INTERPOSE void* pvalloc(size_t bytes) {
  if (!is_ready()) return nullptr;
  return noted(next_functions.pvalloc(bytes), bytes, Kind::kAllocAligned,
               static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}
