#include "traced/central.h"

#include <mutex>

#include "runtime/os/os.h"
#include "traced/chunks.h"

namespace tricolor::traced {

constinit Central g_central;

void Central::link(List& list, Span& span) noexcept {
  span.previous = nullptr;
  span.next = list.with_room;
  if (list.with_room != nullptr) list.with_room->previous = &span;
  list.with_room = &span;
}

void Central::unlink(List& list, Span& span) noexcept {
  (span.previous == nullptr ? list.with_room : span.previous->next) = span.next;
  if (span.next != nullptr) span.next->previous = span.previous;
}

Batch Central::take(unsigned cls, uint32_t most) noexcept {
  const CellClass& of = kCellClasses[cls];
  List& list = lists_[cls];
  const std::lock_guard guard(list.lock);
  Batch batch;
  while (batch.count < most) {
    Span* span = list.with_room;
    if (span == nullptr) {
      if (batch.count != 0) break;
      span = g_chunks.take_span(cls);
      if (span == nullptr) break;
      link(list, *span);
      ++list.empty;
    }
    if (span->free_count == of.cells) --list.empty;
    while (batch.count < most && span->free_count != 0) {
      void* cell = span->free;
      if (cell != nullptr) {
        span->free = next_of(cell);
      } else {
        cell = span->start + size_t{span->fresh++} * of.size;
      }
      set_next(cell, batch.first);
      batch.first = cell;
      ++batch.count;
      --span->free_count;
    }
    if (span->free_count == 0) unlink(list, *span);
  }
  return batch;
}

void Central::give(unsigned cls, void* first) noexcept {
  const CellClass& of = kCellClasses[cls];
  List& list = lists_[cls];
  const std::lock_guard guard(list.lock);
  while (first != nullptr) {
    void* const cell = first;
    first = next_of(cell);
    Chunk& chunk = *Chunk::of(cell);
    const auto block = static_cast<unsigned>(Chunk::offset_of(cell) / kBlockBytes);
    Span& span = chunk.spans[block - chunk.info(block).back];
    set_next(cell, span.free);
    span.free = cell;
    if (span.free_count++ == 0) link(list, span);
    if (span.free_count != of.cells) continue;
    if (++list.empty < 2) continue;
    --list.empty;
    unlink(list, span);
    g_chunks.give_span(span);
  }
}

void Central::lock_all() noexcept {
  // All of one rank: not by lock().
  for (List& list : lists_) {
    while (!list.lock.try_lock()) runtime::os::yield();
  }
}

void Central::unlock_all() noexcept {
  for (List& list : lists_) list.lock.unlock();
}

}  // namespace tricolor::traced
