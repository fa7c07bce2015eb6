#include "gc/marker.h"

#include "gc/boxed.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "gc/open_roots.h"
#include "runtime/base/check.h"

namespace tricolor::gc {

using runtime::Cell;
using runtime::g_heap;

bool Marker::ensure_stack() noexcept {
  if (stack_ == nullptr) stack_ = g_worklist.take_stack();
  return stack_ != nullptr;
}

// Moves the oldest edges to the worklist, all but `keep`: they lead to the largest parts of the
// graph.
void Marker::spill(size_t keep) noexcept {
  const size_t moved = stack_->size - std::min<size_t>(keep, stack_->size);
  g_worklist.put_items(WorkKind::kEdges, stack_->edges, moved);
  std::copy(stack_->edges + moved, stack_->edges + stack_->size, stack_->edges);
  stack_->size -= moved;
}

void Marker::put_contents() noexcept {
  g_worklist.put_items(WorkKind::kObjects, contents_, contents_count_);
  contents_count_ = 0;
}

void Marker::flush() noexcept {
  put_contents();
  if (stack_ != nullptr) {
    spill(0);
    g_worklist.give_stack(std::exchange(stack_, nullptr));
  }
  if (std::exchange(active_, false)) g_worklist.end_work();
}

MarkCounts Marker::take_counts() noexcept { return std::exchange(counts_, MarkCounts{}); }

void Marker::add_edge(const void* address) noexcept {
  const auto offset = static_cast<uint64_t>(static_cast<const char*>(address) - g_heap.base());
  if (offset >= g_heap.limit()) return;
  if (!ensure_stack()) {
    g_worklist.put_items(WorkKind::kEdges, &offset, 1);
    return;
  }
  if (stack_->size >= MarkStack::kSpillAt) spill(MarkStack::kSpillAt / 2);
  stack_->edges[stack_->size++] = offset;
}

void Marker::add_contents(const char* object) noexcept {
  if (contents_count_ == std::size(contents_)) put_contents();
  contents_[contents_count_++] = static_cast<uint64_t>(object - g_heap.base());
}

void Marker::scan_part(Cell cell, const char* from, size_t bytes) noexcept {
  TC_CHECK(ensure_stack(), "no mark stack, though one is kept for the collector");
  scan_words(cell, from, from + bytes);
}

void Marker::add_large(uint64_t offset) noexcept {
  const Cell cell = g_heap.find(g_heap.base() + offset);
  if (!cell || g_heap.is_marked(cell) || !g_heap.try_mark(cell)) return;
  const auto size = static_cast<int64_t>(cell.span->cell_size);
  ++counts_.objects;
  counts_.marked_bytes += size;
  if (detail::is_leaf_kind(cell.span->kind)) return;
  counts_.marked_scan_bytes += size;
  const auto item = static_cast<uint64_t>(g_heap.cell_address(cell) - g_heap.base());
  g_worklist.put_items(WorkKind::kObjects, &item, 1);
}

// Some words of the object in `cell`. [specials.contents] Those that point into it are passed over:
// it is marked already, or its contents alone are to be.
void Marker::scan_memory(const char* from, size_t bytes) noexcept {
  TC_CHECK(ensure_stack(), "no mark stack, though one is kept for the collector");
  scan_range(from, from + bytes, 0, 0);
}

void Marker::scan_words(Cell cell, const char* lo, const char* hi) noexcept {
  scan_range(lo, hi, static_cast<uint64_t>(g_heap.cell_address(cell) - g_heap.base()),
             cell.span->cell_size);
}

// Addresses within `size` bytes from the offset `self` are the object's own.
__attribute__((no_sanitize("address", "thread", "undefined"))) void Marker::scan_range(
    const char* lo, const char* hi, uint64_t self, uint64_t size) noexcept {
  counts_.scan_work += hi - lo;
  const auto base = reinterpret_cast<uint64_t>(g_heap.base());
  const uint64_t limit = g_heap.limit();
  const bool boxed = boxed_words_in_use();
  const auto* const end = reinterpret_cast<const volatile uint64_t*>(lo);
  for (const auto* word = reinterpret_cast<const volatile uint64_t*>(hi); word-- > end;) {
    const uint64_t offset = referred_address(*word, boxed) - base;
    if (offset >= limit || offset - self < size) continue;
    if (stack_->size >= MarkStack::kSpillAt) spill(MarkStack::kSpillAt / 2);
    stack_->edges[stack_->size++] = offset;
  }
}

// The piece of a large object that begins at `from`.
void Marker::scan_piece(const char* from) noexcept {
  const Cell cell = g_heap.find(from);
  if (!cell) return;
  const char* const end = g_heap.cell_address(cell) + cell.span->cell_size;
  scan_words(cell, from, std::min(from + kPieceBytes, end));
}

// Objects that are marked, and pieces of them.
void Marker::scan_block(WorkBlock& block) noexcept {
  if (block.kind == WorkKind::kForeign) {
    for (uint32_t i = 0; i < block.count; ++i) open_roots()->scan(*this, block.items[i]);
    return;
  }
  const bool pieces = block.kind == WorkKind::kPieces;
  for (uint32_t i = 0; i < block.count; ++i) {
    const char* const address = g_heap.base() + block.items[i];
    if (pieces) {
      scan_piece(address);
      continue;
    }
    const Cell cell = g_heap.find(address);
    if (!cell || detail::is_leaf_kind(cell.span->kind)) continue;
    const char* const object = g_heap.cell_address(cell);
    const size_t size = cell.span->cell_size;
    uint64_t later[64];
    size_t count = 0;
    for (size_t at = kPieceBytes; at < size; at += kPieceBytes) {
      later[count++] = static_cast<uint64_t>(object + at - g_heap.base());
      if (count < std::size(later) && at + kPieceBytes < size) continue;
      g_worklist.put_items(WorkKind::kPieces, later, count);
      count = 0;
    }
    scan_words(cell, object, object + std::min(size, kPieceBytes));
  }
}

bool Marker::refill() noexcept {
  if (g_worklist.looks_empty() || !ensure_stack()) return false;
  WorkBlock* const block = active_ ? g_worklist.more_work() : g_worklist.begin_work();
  if (block == nullptr) return false;
  active_ = true;
  if (block->kind == WorkKind::kEdges) {
    std::copy_n(block->items.data(), block->count, stack_->edges);
    stack_->size = block->count;
  } else {
    scan_block(*block);
  }
  g_worklist.give_empty(block);
  return true;
}

bool Marker::drain(int64_t work) noexcept {
  put_contents();
  const int64_t end = counts_.scan_work > INT64_MAX - work ? INT64_MAX : counts_.scan_work + work;
  for (;;) {
    if (stack_ != nullptr && stack_->size != 0) {
      if (!active_) {
        // Edges remembered from roots: work like any other, but not taken from the list.
        active_ = true;
        g_worklist.begin_own_work();
      }
      run(end - counts_.scan_work);
      if (counts_.scan_work >= end) return false;
    }
    if (!refill()) break;
  }
  return true;  // still active: what was counted is handed in before the collector may see us done
}

}  // namespace tricolor::gc
