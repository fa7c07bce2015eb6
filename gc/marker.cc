#include "gc/marker.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace tricolor::gc {

using runtime::Cell;
using runtime::g_heap;
using runtime::Kind;
using runtime::Span;

Marker::Marker() noexcept = default;

Marker::~Marker() { flush(); }

void Marker::flush() noexcept {
  if (block_ != nullptr) g_worklist.put(std::exchange(block_, nullptr));
  if (std::exchange(active_, false)) g_worklist.end_work();
}

MarkCounts Marker::take_counts() noexcept { return std::exchange(counts_, MarkCounts{}); }

void Marker::push(uintptr_t item) noexcept {
  if (block_ != nullptr && block_->full()) g_worklist.put(std::exchange(block_, nullptr));
  if (block_ == nullptr) block_ = g_worklist.take_empty();
  if (block_ == nullptr) {
    g_worklist.set_overflowed();
    return;
  }
  block_->items[block_->count++] = item;
}

bool Marker::refill() noexcept {
  WorkBlock* const more = active_ ? g_worklist.more_work() : g_worklist.begin_work();
  if (more == nullptr) return false;
  active_ = true;
  if (block_ != nullptr) g_worklist.give_empty(block_);
  block_ = more;
  return true;
}

void Marker::mark_address(const void* address) noexcept {
  const Cell cell = g_heap.find(address);
  if (!cell || g_heap.is_marked(cell) || !g_heap.try_mark(cell)) return;
  const auto size = static_cast<int64_t>(cell.span->cell_size);
  ++counts_.objects;
  counts_.marked_bytes += size;
  if (cell.span->kind == Kind::kLeaf) return;
  counts_.marked_scan_bytes += size;
  push(reinterpret_cast<uintptr_t>(g_heap.cell_address(cell)));
}

__attribute__((no_sanitize("address", "thread", "undefined"))) void Marker::scan_words(
    const char* lo, const char* hi) noexcept {
  counts_.scan_work += hi - lo;
  const uintptr_t base = reinterpret_cast<uintptr_t>(g_heap.base());
  const size_t limit = g_heap.limit();
  for (auto* word = reinterpret_cast<const volatile uintptr_t*>(lo);
       word < reinterpret_cast<const volatile uintptr_t*>(hi); ++word) {
    const uintptr_t value = *word;
    if (value - base < limit) mark_address(reinterpret_cast<const void*>(value));
  }
}

void Marker::scan_item(uintptr_t item) noexcept {
  char* const address = reinterpret_cast<char*>(item & ~kPieceTag);
  const Cell cell = g_heap.find(address);
  if (!cell) return;
  char* const object = g_heap.cell_address(cell);
  const size_t size = cell.span->cell_size;
  if (cell.span->is_large()) {
    if ((item & kPieceTag) == 0) {
      for (size_t at = kPieceBytes; at < size; at += kPieceBytes) {
        push(reinterpret_cast<uintptr_t>(object + at) | kPieceTag);
      }
    }
    scan_words(address, std::min(address + kPieceBytes, object + size));
    return;
  }
  scan_words(object, object + size);
}

void Marker::scan_contents(char* object) noexcept {
  scan_item(reinterpret_cast<uintptr_t>(object));
}

bool Marker::drain(int64_t work) noexcept {
  const int64_t end = counts_.scan_work + work;
  for (;;) {
    while (block_ != nullptr && !block_->empty()) {
      scan_item(block_->items[--block_->count]);
      if (block_ != nullptr && block_->count > 64 && g_worklist.somebody_waits() &&
          g_worklist.looks_empty()) {
        g_worklist.put(std::exchange(block_, nullptr));
        break;
      }
      if (counts_.scan_work >= end) return false;
    }
    if (!refill()) break;
  }
  return true;
}

}  // namespace tricolor::gc
