#include "gc/dead_cells.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

#include "gc/destroy.h"
#include "gc/options.h"
#include "gc/sweep.h"
#include "gc/types.h"
#include "runtime/base/immortal.h"
#include "runtime/base/thread_order.h"
#include "runtime/heap/allocate.h"
#include "runtime/heap/central.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"
#include "runtime/thread.h"

#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc {

using runtime::g_heap;
using runtime::RuntimeScope;
using runtime::Span;
using runtime::Thread;

namespace {

constinit runtime::Immortal<DeadCells> g_the_dead_cells;

// The next word of pending cells from `word` on; the number of words if there is none.
uint32_t next_pending(Span& span, uint32_t word) noexcept {
  const uint64_t* const words = span.pending->words();
  while (word < span.words() && words[word] == 0) ++word;
  return word;
}

char* cell_at(const Span& span, uint32_t word, uint64_t cells) noexcept {
  return g_heap.cell_address(span, word * 64 + static_cast<uint32_t>(std::countr_zero(cells)));
}

// Cells lie in a row; their lines are in the cache of the thread that made them. (Fetching what
// their words point to, for strings that are freed, was measured to gain nothing.)
void prefetch_cell(const char* object, size_t size) noexcept {
  constexpr size_t kAhead = 1024;
  __builtin_prefetch(object + kAhead, 1);
  if (size > 256) __builtin_prefetch(object + kAhead + size - detail::kWord, 1);
}

// The program has a pointer to none of the cells, and their destructors have run.
void clobber(const Span& span, uint32_t word, uint64_t cells) noexcept {
  for (; cells != 0; cells &= cells - 1) {
    std::memset(cell_at(span, word, cells), 0xdb, span.cell_size - detail::kWord);
  }
}

}  // namespace

DeadCells& g_dead_cells = g_the_dead_cells.value;

void DeadCells::add(Span& span, uint32_t cells) noexcept {
  cells_.fetch_add(cells, std::memory_order_relaxed);
  bytes_.fetch_add(int64_t{cells} * static_cast<int64_t>(span.cell_size),
                   std::memory_order_relaxed);
  if (span.pending->queued) return;  // [dead.queued]
  span.pending->queued = true;
  const std::lock_guard guard(lock_);
  span.pending->next = nullptr;
  (first_ == nullptr ? first_ : last_->pending->next) = &span;
  last_ = &span;
  queued_.fetch_add(1, std::memory_order_release);
}

// The next word of the span at work, or of the first in the queue. In a runtime section.
bool DeadCells::take_word() noexcept {
  if (span_ == nullptr) {
    const std::lock_guard guard(lock_);
    if (first_ == nullptr) return false;
    span_ = first_;
    first_ = span_->pending->next;
    word_ = 0;
  }
  const std::lock_guard guard(span_->lock);
  word_ = next_pending(*span_, word_);
  if (word_ == span_->words()) word_ = next_pending(*span_, 0);  // some that came meanwhile
  taken_ = span_->pending->words()[word_];
  left_.store(taken_, std::memory_order_relaxed);
  cells_.fetch_sub(std::popcount(taken_), std::memory_order_relaxed);
  return true;
}

// Runs what is left of the word; gives how many.
size_t DeadCells::run_word(size_t most, const std::atomic<bool>& stop) noexcept {
  const size_t size = span_->cell_size;
  char* const cells = g_heap.cell_address(*span_, word_ * 64);
  const auto cell_of = [=](uint64_t bits) {
    return cells + static_cast<size_t>(std::countr_zero(bits)) * size;
  };
  const EndingDead ending;
  size_t count = 0;
  for (uint64_t left = left_.load(std::memory_order_relaxed);
       left != 0 && count < most && !stop.load(std::memory_order_relaxed);) {
    char* const object = cell_of(left);
    left &= left - 1;
    left_.store(left, std::memory_order_relaxed);  // [dead.once]
    prefetch_cell(object, size);
    if (run_destructor(object, size)) ++count;
  }
  return count;
}

size_t DeadCells::run(Thread& thread, size_t most, const std::atomic<bool>& stop) noexcept {
  size_t count = 0;
  // Once, as a rule: there are words of cells that turn out to have nothing to destroy.
  do {
    if (taken_ == 0) {
      const RuntimeScope scope(thread);
      if (!take_word()) break;
    }
    count = run_word(most, stop);
    if (left_.load(std::memory_order_relaxed) == 0) {
      const RuntimeScope scope(thread);
      free_word(thread);
    }
  } while (count == 0 && !stop.load(std::memory_order_relaxed));
  return count;
}

// Gives back the cells of the word, or leaves them to the next sweep, which finds nothing to
// destroy in them. In a runtime section.
void DeadCells::free_word(Thread& thread) noexcept {
  runtime::tell_order();
  Span& span = *span_;
  uint64_t freed = 0;
  bool last = false;
  const bool large = span.is_large();
  const unsigned cache_index = large ? 0 : span.cache_index();
  const size_t size = span.cell_size;
  {
    const std::lock_guard guard(span.lock);
    span.pending->words()[word_] &= ~taken_;
    if (!detail::load_word(TRICOLOR_THIS_THREAD.marking)) {  // [destroy.not-while-marking]
      runtime::sweep_locked(span);
      uint64_t* const alloc = g_heap.alloc_words(span) + word_;
      const uint64_t used = __atomic_load_n(alloc, __ATOMIC_RELAXED);
      freed = used & taken_;  // not what that sweep has freed
      // [destroy.before-sweep] From here on no sweep comes before this thread has left the runtime.
      if (runtime::allocates_black(thread, span.generation.load(std::memory_order_relaxed))) {
        freed = 0;
      }
      if (options().clobberfree) clobber(span, word_, freed);
      if (!large) __atomic_store_n(alloc, used & ~freed, __ATOMIC_RELAXED);
    }
    // [dead.queued]
    last = next_pending(span, 0) == span.words();
    if (last) span.pending->queued = false;
  }
  bytes_.fetch_sub(std::popcount(taken_) * static_cast<int64_t>(size), std::memory_order_relaxed);
  taken_ = 0;
  orphaned_.store(false, std::memory_order_relaxed);
  if (freed != 0 && !large) {
    g_sweeper.count_freed_cells(cache_index, static_cast<uint32_t>(std::popcount(freed)));
  }
  if (!last) return;
  span_ = nullptr;
  if (!large) {
    runtime::g_central.note_returned_cells(cache_index, span);
  } else if (freed != 0 && runtime::g_spans.destroy(span)) {
    g_sweeper.count_freed_large(size);
  }
  done_.fetch_add(1, std::memory_order_release);
}

}  // namespace tricolor::gc
