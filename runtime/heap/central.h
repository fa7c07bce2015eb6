#pragma once

// Central: per cache index, the swept spans that have free cells and no owner.
//
// A thread that ran out of cells takes a span from here; failing that it sweeps one, failing that
// it has a new one made. Emptier spans are handed out first, because cells that lie together cost
// fewer cache misses.
//
// [central.state]  guards Span::state and Span::next of its spans.
// Threads: any, in a runtime section.

#include <array>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/heap/span.h"

#include <tricolor/detail/size_class.hpp>

namespace tricolor::runtime {

class Central {
 public:
  // A span with free cells, swept and owned by the caller; nullptr when memory is gone.
  Span* acquire(unsigned cache_index) noexcept;

  // The owner gives `span` back, exhausted or not.
  void release(unsigned cache_index, Span& span) noexcept;

  // Sweeps `span` unless it is swept, and puts it where it now belongs: the pages of an empty one
  // go back, one with free cells becomes available. `span` may be stale, large, or owned by a
  // thread. Gives the pages swept.
  uint32_t sweep(Span& span) noexcept;

  // Cells of a span that may have been full were freed one by one: makes it available, or gives its
  // pages back if none is left in use. `span` may be stale.
  void note_returned_cells(unsigned cache_index, Span& span) noexcept;

  // A new sweep begins, that of `generation`: spans not yet swept are not known to have free cells
  // any more.
  void forget_partial(unsigned cache_index, uint32_t generation) noexcept;

 private:
  static constexpr unsigned kBuckets = 4;  // by share of free cells

  struct alignas(64) List {
    Lock lock{LockRank::central};
    std::array<Span*, kBuckets> heads{};
  };

  Span* acquire_used(unsigned cache_index) noexcept;
  static unsigned bucket_of(uint32_t free, uint32_t cells) noexcept;
  Span* pop_partial(List& list) noexcept;
  static void make_available_locked(List& list, Span& span, uint32_t live) noexcept;
  void place(unsigned cache_index, Span& span, SpanState expected) noexcept;

  std::array<List, gc::detail::kCacheEntries> lists_;
};

extern Central g_central;

// Cells of `span` in use, from its alloc bits. Under span.lock.
uint32_t live_cells_locked(const Span& span) noexcept;

}  // namespace tricolor::runtime
