#include "runtime/heap/spans.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/memory.h"
#include "runtime/base/thread_order.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/os/lent_memory.h"
#include "runtime/os/os.h"

namespace tricolor::runtime {

using gc::detail::kLargeClass;
using gc::detail::kSizeClasses;

constinit Spans g_spans;

bool Spans::init() noexcept {
  const size_t huge_pages_from =
      os::memory_is_lent() ? PageHeap::kLentHugePagesFrom : PageHeap::kHugePagesFrom;
  if (!pages_.init(g_heap.base(), g_heap.reserved_bytes(), huge_pages_from)) return false;
  if (pages_.allocate(1)) return true;  // [spans.base]
  pages_.shutdown();
  return false;
}

Span* Spans::setup(PageRun run, Kind kind, unsigned size_class, size_t cell_size, uint32_t cells,
                   const Thread* owner_of_large) noexcept {
  const uint32_t end = run.first + run.count;
  if (end > used_end()) {
    std::unique_lock guard(tables_lock_);
    if (!g_heap.ensure_tables(end)) {
      guard.unlock();
      pages_.free(run);
      return nullptr;
    }
    used_end_.store(std::max(used_end(), end), std::memory_order_release);
  }
  Span& span = *g_heap.span_at(run.first);
  PendingCells* pending = nullptr;
  const uint32_t words = (cells + 63) / 64;
  if (kind == Kind::kDestructor) {
    void* const memory = std::calloc(1, sizeof(PendingCells) + words * sizeof(uint64_t));
    tell_order();
    if (memory == nullptr) {
      pages_.free(run);
      return nullptr;
    }
    pending = ::new (memory) PendingCells;
    had_destructors_.store(true, std::memory_order_relaxed);
  }
  {
    const std::lock_guard guard(span.lock);
    span.first_page = run.first;
    span.pages = run.count;
    span.size_class = static_cast<uint8_t>(size_class);
    span.kind = kind;
    span.sampled.store(false, std::memory_order_relaxed);
    span.cells = static_cast<uint16_t>(cells);
    span.cursor = 0;
    span.cell_size = cell_size;
    span.next = nullptr;
    span.pending = pending;
    uint64_t* const alloc = g_heap.alloc_words(span);
    uint64_t* const mark = g_heap.mark_words(span);
    for (uint32_t w = 0; w < words; ++w) {
      __atomic_store_n(alloc + w, span.tail_mask(w), __ATOMIC_RELAXED);
      __atomic_store_n(mark + w, uint64_t{0}, __ATOMIC_RELAXED);
    }
    const uint32_t generation = sweep_generation();
    if (owner_of_large != nullptr) {
      // [alloc.word-locked], [alloc.black]: the only cell is handed out as the span comes to be.
      span.state = SpanState::kLarge;
      __atomic_store_n(alloc, ~uint64_t{0}, __ATOMIC_RELAXED);
      if (allocates_black(*owner_of_large, generation))
        __atomic_store_n(mark, uint64_t{1}, __ATOMIC_RELAXED);
    } else {
      span.state = SpanState::kOwned;
    }
    span.generation.store(generation, std::memory_order_release);
    g_heap.publish_span(span);
    // [spans.second-look]
    if (latest_sweep_generation() != generation) sweep_locked(span);
  }
  spans_in_use_.fetch_add(1, std::memory_order_relaxed);
  return &span;
}

Span* Spans::create_small(Kind kind, unsigned size_class) noexcept {
  const gc::detail::SizeClass& table = kSizeClasses[size_class];
  const PageRun run = pages_.allocate(table.pages, max_heap_bytes());
  if (!run) return nullptr;
  poison(g_heap.page_address(run.first), size_t{run.count} << kPageShift);
  return setup(run, kind, size_class, table.size, table.cells, nullptr);
}

Span* Spans::create_large(const Thread& thread, Kind kind, size_t size, PageRun& run) noexcept {
  const size_t pages = (size + kPageSize - 1) >> kPageShift;
  if (pages > g_heap.reserved_bytes() >> kPageShift) return nullptr;
  run = pages_.allocate(static_cast<uint32_t>(pages), max_heap_bytes());
  if (!run) return nullptr;
  // The hidden words must read as "nothing to destroy" before anybody can look.
  char* const memory = g_heap.page_address(run.first);
  unpoison(memory, size);
  poison(memory + size, (pages << kPageShift) - size);
  if (!run.zeroed) {
    const size_t cleared = zero_early() ? size : 2 * sizeof(void*);
    std::memset(memory + size - cleared, 0, cleared);
  }
  return setup(run, kind, kLargeClass, size, 1, &thread);
}

bool Spans::destroy(Span& span) noexcept {
  const std::lock_guard returns(returns_lock_);
  if (!returns_allowed_) return false;
  const PageRun run{span.first_page, span.pages};
  uint32_t returned;
  {
    const std::lock_guard guard(span.lock);
    TC_DCHECK(span.state != SpanState::kOwned, "span at page %u is still owned", span.first_page);
    span.state = SpanState::kFree;
    free_plain(span.pending);
    span.pending = nullptr;
    returned = std::exchange(span.returned, 0);
    g_heap.retire_span(span);
    poison(g_heap.page_address(run.first), size_t{run.count} << kPageShift);
  }
  spans_in_use_.fetch_sub(1, std::memory_order_relaxed);
  free_pages(run, returned);
  return true;
}

void Spans::allow_returns(bool allowed) noexcept {
  const std::lock_guard guard(returns_lock_);
  returns_allowed_ = allowed;
}

}  // namespace tricolor::runtime
