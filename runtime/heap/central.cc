#include "runtime/heap/central.h"

#include <bit>
#include <mutex>

#include "runtime/base/check.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"

namespace tricolor::runtime {

constinit Central g_central;

uint32_t live_cells_locked(const Span& span) noexcept {
  const uint64_t* const alloc = g_heap.alloc_words(span);
  uint32_t live = 0;
  for (uint32_t w = 0; w < span.words(); ++w) {
    live += static_cast<uint32_t>(
        std::popcount(__atomic_load_n(alloc + w, __ATOMIC_RELAXED) & ~span.tail_mask(w)));
  }
  return live;
}

unsigned Central::bucket_of(uint32_t free, uint32_t cells) noexcept {
  return kBuckets - 1 - (free * kBuckets - 1) / cells;  // 0: more than three quarters free
}

Span* Central::pop_partial(List& list) noexcept {
  const std::lock_guard guard(list.lock);
  for (Span*& head : list.heads) {
    if (head == nullptr) continue;
    Span* const span = head;
    head = span->next;
    span->next = nullptr;
    span->state = SpanState::kOwned;
    return span;
  }
  return nullptr;
}

Span* Central::acquire(unsigned cache_index) noexcept {
  if (Span* const span = acquire_used(cache_index)) return span;
  // [pacing.limit]
  if (g_spans.pages().excess_bytes() != 0 && wait_for_sweep()) {
    if (Span* const span = acquire_used(cache_index)) return span;
  }
  return g_spans.create_small(gc::detail::kind_at(cache_index), gc::detail::class_at(cache_index));
}

// One that there is already.
Span* Central::acquire_used(unsigned cache_index) noexcept {
  List& list = lists_[cache_index];
  if (Span* const span = pop_partial(list)) return span;
  while (Span* const span = next_unswept(cache_index)) {
    uint32_t live;
    {
      const std::lock_guard span_guard(span->lock);
      const SweptSpan swept = sweep_locked(*span);
      if (!swept.swept) continue;
      live = swept.live;
    }
    {
      const std::lock_guard guard(list.lock);
      if (span->state == SpanState::kIdle && live < span->cells) {
        span->state = SpanState::kOwned;
        return span;
      }
    }
  }
  return nullptr;
}

// Moves a span from `expected` to the list or the page heap, according to its live cells, which are
// counted under both locks: since the caller looked, it may have been freed, made anew and filled.
// A span in any other state is left alone: somebody else answers for it.
void Central::place(unsigned cache_index, Span& span, SpanState expected) noexcept {
  List& list = lists_[cache_index];
  {
    const std::lock_guard guard(list.lock);
    {
      const std::lock_guard span_guard(span.lock);
      // [central.state] [span.state] The state of a span of another index is not this list's.
      if (span.is_large() || span.cache_index() != cache_index || span.state != expected) return;
      // What a sweep has still to look at is placed by it.
      if (expected == SpanState::kIdle &&
          span.generation.load(std::memory_order_relaxed) != sweep_generation()) {
        return;
      }
      if (const uint32_t live = live_cells_locked(span); live != 0) {
        make_available_locked(list, span, live);
        return;
      }
    }
    span.state = SpanState::kFree;  // nobody else can take it from here on
  }
  if (g_spans.destroy(span)) return;
  const std::lock_guard guard(list.lock);
  make_available_locked(list, span, 0);
}

void Central::make_available_locked(List& list, Span& span, uint32_t live) noexcept {
  if (live == span.cells) {
    span.state = SpanState::kIdle;
    return;
  }
  span.state = SpanState::kPartial;
  Span*& head = list.heads[bucket_of(span.cells - live, span.cells)];
  span.next = head;
  head = &span;
}

void Central::release(unsigned cache_index, Span& span) noexcept {
  {
    const std::lock_guard span_guard(span.lock);
    sweep_locked(span);
  }
  place(cache_index, span, SpanState::kOwned);
}

uint32_t Central::sweep(Span& span) noexcept {
  uint32_t live;
  uint32_t pages;
  bool large;
  unsigned cache_index;
  {
    const std::lock_guard span_guard(span.lock);
    const SweptSpan swept = sweep_locked(span);
    if (!swept.swept) return 0;
    live = swept.live;
    pages = span.pages;
    large = span.is_large();
    cache_index = large ? 0 : span.cache_index();
  }
  if (!large) {
    place(cache_index, span, SpanState::kIdle);
  } else if (live == 0) {
    TC_CHECK(g_spans.destroy(span), "a span is swept while a cycle runs");
  }
  return pages;
}

void Central::note_returned_cells(unsigned cache_index, Span& span) noexcept {
  place(cache_index, span, SpanState::kIdle);
}

void Central::forget_partial(unsigned cache_index, uint32_t generation) noexcept {
  List& list = lists_[cache_index];
  const std::lock_guard guard(list.lock);
  for (Span*& head : list.heads) {
    for (Span** at = &head; Span* const span = *at;) {
      if (span->generation.load(std::memory_order_acquire) == generation) {
        at = &span->next;
        continue;
      }
      *at = span->next;
      span->next = nullptr;
      span->state = SpanState::kIdle;
    }
  }
}

}  // namespace tricolor::runtime
