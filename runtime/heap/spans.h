#pragma once

// Spans: creates spans on runs of pages and gives their pages back.
//
// [spans.table]  the span headers in use are those whose state is not kFree; for_each() visits them in address
//                order, by following each one's length.
// [spans.stable] visit() may see a span that is being destroyed, never miss one that existed throughout.
// [spans.second-look] a span is published in the generation it was set up in; if that has moved on meanwhile, the
//                sweep may have missed it, so it is swept by its creator. Both sides are read-modify-writes of the
//                generation: either the creator sees the move, or the sweep sees the span.
// [spans.base]   no object lies in the first page: the base of the range is in registers and frames all over the
//                library, and on a stack it would keep alive what begins there.
// Pages go back only while no cycle runs: another thread may be in the barrier of a store of an
//                object that gc::destroy ends, and would mark what its pages have become.
// Threads: any, in a runtime section; not in a signal handler.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "runtime/base/lock.h"
#include "runtime/base/poison.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/page_heap.h"
#include "runtime/heap/span.h"

namespace tricolor::runtime {

class Thread;

class Spans {
 public:
  bool init() noexcept;

  // A span of small cells, owned by the caller, swept, all cells free. nullptr when memory is gone.
  Span* create_small(Kind kind, unsigned size_class) noexcept;

  // A span of one large object of `size` bytes, handed out to `thread`; `run`: its pages. nullptr
  // when memory is gone.
  Span* create_large(const Thread& thread, Kind kind, size_t size, PageRun& run) noexcept;

  // Gives back a span that nobody can reach any more: not listed, not owned, no object in it.
  // False, and nothing has happened, while a cycle runs.
  [[nodiscard]] bool destroy(Span& span) noexcept;
  void allow_returns(bool allowed) noexcept;

  // Calls visit(Span&), under the span's lock, for every span in use; spans created or destroyed
  // meanwhile may or may not be seen.
  template <class Visit>
  void for_each(Visit visit) noexcept;
  // The first span in use that begins at `page` or later, nullptr if there is none; `page` moves
  // behind it. While a cycle marks no span is given back, so it stays.
  Span* next(uint32_t& page) noexcept;

  // [span.returned] What there is to return, or was returned, in up to `most` spans from `page` on,
  // which moves behind them; used_end() or more: no span is left.
  size_t unused_bytes(uint32_t& page, unsigned most) noexcept;
  size_t return_unused(uint32_t& page, unsigned most) noexcept;
  // Bytes of spans that are not resident because of it.
  size_t returned_bytes() const noexcept { return returned_bytes_.load(std::memory_order_relaxed); }
  // Cells of word `w` are handed out: they will be written to. Under the span's lock.
  void note_handed_out(Span& span, uint32_t w, uint64_t cells) noexcept {
    if (__builtin_expect(span.returned != 0, 0)) note_resident(span, w, cells);
  }

  PageHeap& pages() noexcept { return pages_; }
  uint32_t used_end() const noexcept { return used_end_.load(std::memory_order_acquire); }
  // Whether there has been a span of Kind::kDestructor.
  bool have_had_destructors() const noexcept {
    return had_destructors_.load(std::memory_order_relaxed);
  }
  size_t spans_in_use() const noexcept { return spans_in_use_.load(std::memory_order_relaxed); }

 private:
  template <class Visit>
  Span* next(uint32_t& page, Visit visit) noexcept;  // visited under its lock
  void note_resident(Span& span, uint32_t w, uint64_t cells) noexcept;
  void free_pages(PageRun run, uint32_t returned) noexcept;
  Span* setup(PageRun run, Kind kind, unsigned size_class, size_t cell_size, uint32_t cells,
              const Thread* owner_of_large) noexcept;

  PageHeap pages_;
  Lock returns_lock_;
  bool returns_allowed_ = true;  // guarded by returns_lock_
  Lock tables_lock_{LockRank::metadata};
  // Number of pages ever used. Grows under tables_lock_ (release); for_each() reads it (acquire).
  std::atomic<uint32_t> used_end_{0};
  std::atomic<bool> had_destructors_{false};  // relaxed: a hint
  std::atomic<size_t> spans_in_use_{0};       // relaxed everywhere: statistics
  std::atomic<size_t> returned_bytes_{0};     // relaxed: an amount that steers, and is reported
};

extern Spans g_spans;

template <class Visit>
Span* Spans::next(uint32_t& page, Visit visit) noexcept {
  for (const uint32_t end = used_end(); page < end; ++page) {
    Span* const span = g_heap.span_starting_at(page);
    if (span == nullptr) continue;
    const std::lock_guard guard(span->lock);
    // [spans.table] [spans.stable] Under the lock the length is that of a whole span, or 0.
    if (span->pages == 0) continue;
    page += span->pages;
    visit(*span);
    return span;
  }
  return nullptr;
}

// [poison.free] The cells of one word of the span.
inline void poison_cells(const Span& span, uint32_t word, uint64_t cells) noexcept {
  if (!poisons()) return;
  for (; cells != 0; cells &= cells - 1)
    poison(g_heap.cell_address(span, word * 64 + static_cast<uint32_t>(std::countr_zero(cells))),
           span.cell_size);
}
inline void unpoison_cells(const Span& span, uint32_t word, uint64_t cells) noexcept {
  if (!poisons()) return;
  for (; cells != 0; cells &= cells - 1)
    unpoison(g_heap.cell_address(span, word * 64 + static_cast<uint32_t>(std::countr_zero(cells))),
             span.cell_size);
}

inline Span* Spans::next(uint32_t& page) noexcept {
  return next(page, [](Span&) {});
}

template <class Visit>
void Spans::for_each(Visit visit) noexcept {
  uint32_t page = 0;
  while (next(page, visit) != nullptr) continue;
}

}  // namespace tricolor::runtime
