#include "gc/sweep.h"

#include <array>
#include <bit>
#include <cstring>
#include <mutex>

#include "gc/finalizer_thread.h"
#include "gc/held.h"
#include "gc/phase.h"
#include "gc/types.h"
#include "runtime/base/immortal.h"
#include "runtime/heap/central.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"

#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc {

using runtime::g_central;
using runtime::g_heap;
using runtime::g_spans;
using runtime::Kind;
using runtime::Span;
using runtime::SweptSpan;

namespace {
constinit runtime::Immortal<Sweeper> g_the_sweeper;
}
Sweeper& g_sweeper = g_the_sweeper.value;

void Sweeper::next_generation() noexcept {
  g_cycle.sweep_generation.fetch_add(1, std::memory_order_acq_rel);
}

// The queues are empty ([sweep.finished]), so no span is linked: [sweep.no-memory].
void Sweeper::begin() noexcept {
  struct Found {
    Span* first = nullptr;
    Span* last = nullptr;

    void add(Span& span) noexcept {
      span.next_unswept = nullptr;
      (last == nullptr ? first : last->next_unswept) = &span;
      last = &span;
    }
  };
  const uint32_t generation = g_cycle.sweep_generation.load(std::memory_order_relaxed);
  std::array<Found, detail::kCacheEntries> small;
  Found large;
  g_spans.for_each([&](Span& span) {
    if (span.generation.load(std::memory_order_acquire) == generation) return;
    (span.is_large() ? large : small[span.cache_index()]).add(span);
  });
  large_ = large.first;
  // A thread that took a span from a list meanwhile has swept it. From here on each is offered
  // once, by the queues; hardly a moment by neither, for whoever finds nothing makes the heap grow.
  for (unsigned i = 0; i < detail::kCacheEntries; ++i) {
    g_central.forget_partial(i, generation);
    const std::lock_guard guard(queues_[i].lock);
    queues_[i].first.store(small[i].first, std::memory_order_relaxed);
  }
}

Span* Sweeper::next_unswept(unsigned cache_index) noexcept {
  Queue& queue = queues_[cache_index];
  if (queue.first.load(std::memory_order_relaxed) == nullptr) return nullptr;
  const std::lock_guard guard(queue.lock);
  Span* const span = queue.first.load(std::memory_order_relaxed);
  if (span != nullptr) queue.first.store(span->next_unswept, std::memory_order_relaxed);
  return span;
}

size_t Sweeper::sweep_all() noexcept {
  size_t pages = 0;
  // Nobody else sweeps large ones, and each gives back pages that others wait to reuse.
  while (Span* const span = large_) {
    large_ = span->next_unswept;
    pages += g_central.sweep(*span);
  }
  for (unsigned i = 0; i < detail::kCacheEntries; ++i) {
    while (Span* const span = next_unswept(i)) pages += g_central.sweep(*span);
  }
  return pages;
}

void Sweeper::count_freed(const Span& span, uint32_t cells) noexcept {
  if (span.is_large()) {
    count_freed_large(span.cell_size);
  } else {
    count_freed_cells(span.cache_index(), cells);
  }
}

// Whether the cell has a destructor to run.
static bool needs_destructor(const Span& span, uint32_t word, uint64_t cell) noexcept {
  char* const object =
      g_heap.cell_address(span, word * 64 + static_cast<uint32_t>(std::countr_zero(cell)));
  const void* const type = detail::load_word(detail::hidden_word(object, span.cell_size, 1));
  return type != nullptr && !g_types.does_nothing(type);
}

// Notes the destructors of dead cells; the cells stay in use until they have run. Gives those
// cells. Where the first has one, the others are not looked at: what has none is found as it is
// destroyed, and memory is read once less.
uint64_t Sweeper::queue_destructors(Span& span, uint32_t word, uint64_t dead) noexcept {
  if (dead == 0) return 0;
  uint64_t kept = 0;
  if (needs_destructor(span, word, dead)) {
    kept = dead;
  } else {
    for (uint64_t rest = dead & (dead - 1); rest != 0; rest &= rest - 1) {
      if (needs_destructor(span, word, rest)) kept |= rest & -rest;
    }
  }
  span.pending->words()[word] |= kept;
  return kept;
}

void Sweeper::clobber(const Span& span, uint32_t word, uint64_t dead) const noexcept {
  runtime::unpoison_cells(span, word, dead);
  for (uint64_t rest = dead; rest != 0; rest &= rest - 1) {
    const uint32_t index = word * 64 + static_cast<uint32_t>(std::countr_zero(rest));
    std::memset(g_heap.cell_address(span, index), 0xdb, span.cell_size);
  }
}

SweptSpan Sweeper::sweep_locked(Span& span) noexcept {
  const uint32_t generation = g_cycle.sweep_generation.load(std::memory_order_acquire);
  // [sweep.once] [span.generation]
  if (span.generation.load(std::memory_order_relaxed) == generation) return {};
  uint64_t* const alloc = g_heap.alloc_words(span);
  uint64_t* const mark = g_heap.mark_words(span);
  const uint64_t* const held = g_held.words_of(span);  // [held.sweep]
  uint32_t live = 0;
  uint32_t freed = 0;
  uint32_t to_destroy = 0;
  for (uint32_t w = 0; w < span.words(); ++w) {
    const uint64_t tail = span.tail_mask(w);
    const uint64_t used = __atomic_load_n(alloc + w, __ATOMIC_RELAXED) & ~tail;
    const uint64_t marked = __atomic_load_n(mark + w, __ATOMIC_RELAXED);
    uint64_t dead = used & ~marked;
    if (__builtin_expect(held != nullptr, 0)) dead &= ~__atomic_load_n(held + w, __ATOMIC_RELAXED);
    if (dead != 0 && span.kind == Kind::kDestructor) {
      dead &= ~span.pending->words()[w];
      const uint64_t kept = queue_destructors(span, w, dead);
      to_destroy += static_cast<uint32_t>(std::popcount(kept));
      dead &= ~kept;
    }
    if (dead != 0) {
      if (__builtin_expect(clobber_, 0)) clobber(span, w, dead);
      runtime::poison_cells(span, w, dead);
      freed += static_cast<uint32_t>(std::popcount(dead));
      __atomic_store_n(alloc + w, (used & ~dead) | tail, __ATOMIC_RELAXED);
    }
    live += static_cast<uint32_t>(std::popcount(used & ~dead));
    if (marked != 0) __atomic_store_n(mark + w, uint64_t{0}, __ATOMIC_RELAXED);
  }
  if (freed != 0) count_freed(span, freed);
  if (to_destroy != 0) finalizer_thread().queue_dead(span, to_destroy);
  span.generation.store(generation, std::memory_order_release);
  return {live, true};
}

}  // namespace tricolor::gc

namespace tricolor::runtime {

uint32_t sweep_generation() noexcept {
  return gc::g_cycle.sweep_generation.load(std::memory_order_acquire);
}

uint32_t latest_sweep_generation() noexcept {
  return gc::g_cycle.sweep_generation.fetch_add(0, std::memory_order_acq_rel);
}

SweptSpan sweep_locked(Span& span) noexcept { return gc::g_sweeper.sweep_locked(span); }

Span* next_unswept(unsigned cache_index) noexcept {
  return gc::g_sweeper.next_unswept(cache_index);
}

}  // namespace tricolor::runtime
