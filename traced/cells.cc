#include "traced/cells.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>

#include "runtime/base/check.h"
#include "runtime/heap/heap_map.h"
#include "runtime/thread.h"
#include "traced/central.h"
#include "traced/chunks.h"

namespace tricolor::traced {

namespace {

// [central_cells.lock] Nobody stands in the allocator who can help it: another thread may want the lock before it can
// answer.
class QuietScope {
 public:
  QuietScope() noexcept : thread_(runtime::Thread::current()) {
    if (thread_ != nullptr && !thread_->enter_quietly()) thread_ = nullptr;
  }
  ~QuietScope() {
    if (thread_ != nullptr) thread_->leave();
  }
  QuietScope(const QuietScope&) = delete;
  QuietScope& operator=(const QuietScope&) = delete;

 private:
  runtime::Thread* thread_;
};

struct Bin {
  void* first;
  uint32_t count;
};

struct ThreadCache {
  std::array<Bin, kClasses> bins;
  bool flushed_at_exit;
};

// Only its own thread touches it. Zero to begin with: every list is empty.
constinit thread_local ThreadCache t_cache __attribute__((tls_model("initial-exec"))) = {};

pthread_key_t g_exit_key;
bool g_has_key = false;
pthread_once_t g_key_once = PTHREAD_ONCE_INIT;

void flush(void* cache) noexcept {
  auto& bins = static_cast<ThreadCache*>(cache)->bins;
  for (unsigned cls = 0; cls < kClasses; ++cls) {
    void* const first = bins[cls].first;
    bins[cls] = {};
    if (first != nullptr) g_central.give(cls, first);
  }
  static_cast<ThreadCache*>(cache)->flushed_at_exit = false;
}

// A destructor that runs later may fill the cache again, and the system calls flush() once more.
void flush_at_exit(ThreadCache& cache) noexcept {
  const int saved = errno;
  cache.flushed_at_exit = true;
  pthread_once(&g_key_once, [] { g_has_key = pthread_key_create(&g_exit_key, flush) == 0; });
  if (g_has_key) pthread_setspecific(g_exit_key, &cache);
  errno = saved;
}

__attribute__((noinline)) void* allocate_slow(unsigned cls) noexcept {
  const QuietScope quiet;
  ThreadCache& cache = t_cache;
  if (!cache.flushed_at_exit) flush_at_exit(cache);
  const Batch batch = g_central.take(cls, kCellClasses[cls].batch);
  void* const cell = batch.first;
  if (cell == nullptr) return nullptr;
  cache.bins[cls] = {next_of(cell), batch.count - 1};
  set_live(cell);
  return cell;
}

__attribute__((noinline)) void shorten(unsigned cls) noexcept {
  const QuietScope quiet;
  ThreadCache& cache = t_cache;
  if (!cache.flushed_at_exit) flush_at_exit(cache);
  Bin& bin = cache.bins[cls];
  void* const first = bin.first;
  void* last = first;
  const uint32_t moved = kCellClasses[cls].batch;
  for (uint32_t i = 1; i < moved; ++i) last = next_of(last);
  bin.first = next_of(last);
  bin.count -= moved;
  set_next(last, nullptr);
  g_central.give(cls, first);
}

// [cells.wrong]
[[noreturn, gnu::cold, gnu::noinline]] void report_wrong(const void* cell) noexcept {
  if (runtime::g_heap.base() != nullptr && runtime::g_heap.contains(cell)) {
    runtime::fatal(
        "delete of a collected object (%p): what gc::make makes is freed by the collector; "
        "gc::destroy() "
        "ends it now",
        cell);
  }
  if (g_chunks.in_chunk(cell)) {
    const Chunk& chunk = *Chunk::of(cell);
    const auto block = static_cast<unsigned>(Chunk::offset_of(cell) / kBlockBytes);
    const uint8_t kind = chunk.info(block).kind;
    if (kind != kHeaderBlock && kind != kLargeBlock && kind != kFreeBlock) {
      const Span& span = chunk.spans[block - chunk.info(block).back];
      const size_t size = kCellClasses[kind - 1].size;
      const auto inside = static_cast<size_t>(static_cast<const char*>(cell) - span.start) % size;
      if (inside != 0) {
        runtime::fatal("free of %p, which points %zu bytes into a cell of %zu bytes", cell, inside,
                       size);
      }
      runtime::fatal("free of %p twice: the cell of %zu bytes is free already", cell, size);
    }
    runtime::fatal("free of %p twice, or of an address that was never handed out", cell);
  }
  runtime::fatal("free of %p, which is no traced memory, or was freed already", cell);
}

__attribute__((noinline)) void* allocate_large(size_t bytes, size_t alignment) noexcept {
  const QuietScope quiet;
  return g_chunks.take_large(bytes, alignment);
}

__attribute__((noinline)) void free_slow(void* cell) noexcept {
  const QuietScope quiet;
  if (!g_chunks.in_chunk(cell)) {
    if (g_chunks.region_of(cell) != Region::kMapping || !g_chunks.give_mapping(cell))
      report_wrong(cell);
    return;
  }
  clear_live(cell);
  g_chunks.give_large(cell);
}

}  // namespace

void* allocate(size_t bytes) noexcept {
  if (__builtin_expect(bytes > kLargestCell, 0)) return allocate_large(bytes, kGranule);
  const unsigned cls = class_of(bytes);
  Bin& bin = t_cache.bins[cls];
  void* const cell = bin.first;
  if (__builtin_expect(cell == nullptr, 0)) return allocate_slow(cls);
  bin.first = next_of(cell);
  --bin.count;
  set_live(cell);
  return cell;
}

void* allocate_aligned(size_t bytes, size_t alignment) noexcept {
  if (alignment <= kGranule) return allocate(bytes);
  // A span begins at a block, so the cells of a class are aligned to what divides their size.
  if (bytes <= kLargestCell && alignment <= kBlockBytes) {
    for (unsigned cls = class_of(bytes); cls < kClasses; ++cls) {
      if (kCellClasses[cls].size % alignment == 0) return allocate(kCellClasses[cls].size);
    }
  }
  return allocate_large(bytes, alignment);
}

void free(void* cell) noexcept {
  if (cell == nullptr) return;
  if (__builtin_expect(!g_chunks.in_chunk(cell), 0)) return free_slow(cell);
  const Chunk& chunk = *Chunk::of(cell);
  const size_t offset = Chunk::offset_of(cell);
  const uint8_t kind = chunk.info(static_cast<unsigned>(offset / kBlockBytes)).kind;
  if (__builtin_expect(offset % kGranule != 0 || kind == kHeaderBlock || !is_live(cell), 0))
    report_wrong(cell);
  if (__builtin_expect(kind == kLargeBlock, 0)) return free_slow(cell);
  clear_live(cell);
  const unsigned cls = kind - 1u;
  Bin& bin = t_cache.bins[cls];
  set_next(cell, bin.first);
  bin.first = cell;
  if (__builtin_expect(++bin.count > 2u * kCellClasses[cls].batch, 0)) shorten(cls);
}

}  // namespace tricolor::traced
