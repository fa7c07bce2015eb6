#include "gc/dead_queue.h"

#include <bit>
#include <mutex>

#include "runtime/heap/heap_map.h"

namespace tricolor::gc {

using runtime::g_heap;
using runtime::Span;

void DeadQueue::add(Span& span, uint32_t word, uint64_t cells) noexcept {
  span.pending[word] |= cells;
  span.pending[span.words() + word] |= cells;
}

void DeadQueue::list(Span& span) noexcept {
  const std::lock_guard guard(lock_);
  if (span.dead_listed) return;
  listed_.fetch_add(1, std::memory_order_release);
  span.dead_listed = true;
  span.next_dead = nullptr;
  (last_ == nullptr ? first_ : last_->next_dead) = &span;
  last_ = &span;
}

Span* DeadQueue::first() noexcept {
  const std::lock_guard guard(lock_);
  return first_;
}

void DeadQueue::remove_first() noexcept {
  const std::lock_guard guard(lock_);
  first_->dead_listed = false;
  first_ = first_->next_dead;
  if (first_ == nullptr) last_ = nullptr;
}

DeadQueue::Taken DeadQueue::take(std::span<uintptr_t> hidden) noexcept {
  Taken taken;
  while (taken.objects < hidden.size()) {
    Span* const span = first();
    if (span == nullptr) break;
    const std::lock_guard guard(span->lock);
    uint64_t* const dead = span->pending + span->words();
    uint32_t w = 0;
    for (; w < span->words(); ++w) {
      for (; dead[w] != 0 && taken.objects < hidden.size(); dead[w] &= dead[w] - 1) {
        const uint32_t index = w * 64 + static_cast<uint32_t>(std::countr_zero(dead[w]));
        hidden[taken.objects++] = ~reinterpret_cast<uintptr_t>(g_heap.cell_address(*span, index));
      }
      if (dead[w] != 0) break;
    }
    if (w < span->words()) break;
    remove_first();  // [dead.listed]
    ++taken.spans;
  }
  taken_.fetch_add(taken.spans, std::memory_order_release);
  return taken;
}

}  // namespace tricolor::gc
