#pragma once

// Live parts: what of a piece of a chunk belongs to cells that the program has.
//
// Threads: any; without a stop it may see a cell that comes or goes either way, and never looks outside of the chunk.

#include <algorithm>
#include <cstddef>

#include "traced/chunk.h"

namespace tricolor::traced {

// Parts that touch come as one.
template <class Part>
class PartJoiner {
 public:
  explicit PartJoiner(Part part) : part_(part) {}
  ~PartJoiner() { flush(); }
  PartJoiner(const PartJoiner&) = delete;
  PartJoiner& operator=(const PartJoiner&) = delete;
  void add(const char* from, const char* to) {
    if (from != to_) {
      flush();
      from_ = from;
    }
    to_ = to;
  }

 private:
  void flush() {
    if (from_ != to_) part_(from_, static_cast<size_t>(to_ - from_));
  }
  Part part_;
  const char* from_ = nullptr;
  const char* to_ = nullptr;
};

template <class Joiner>
void add_large_cell(Chunk& chunk, unsigned first, const char* lo, const char* hi, Joiner& joiner) {
  const Span& span = chunk.spans[first];
  const char* const cell = __atomic_load_n(&span.start, __ATOMIC_RELAXED);
  const size_t bytes = __atomic_load_n(&span.bytes, __ATOMIC_RELAXED);
  // [traced.stable] Anything else is a span that is being set up.
  if (cell < chunk.block_address(first) || cell >= chunk.base() + kChunkBytes || !is_live(cell))
    return;
  const char* const from = std::max(lo, cell);
  const char* const to = std::min(hi, cell + bytes);
  if (from < to) joiner.add(from, to);
}

template <class Joiner>
void add_small_cells(Chunk& chunk, unsigned first, const CellClass& of, const char* lo,
                     const char* hi, Joiner& joiner) {
  const char* const start = chunk.block_address(first);
  const char* cell = start + static_cast<size_t>(lo - start) / of.size * of.size;
  for (; cell < hi; cell += of.size) {
    if (is_live(cell)) joiner.add(std::max(lo, cell), std::min(hi, cell + of.size));
  }
}

// Calls part(from, bytes) for what lies in [lo, hi), which is part of one chunk, on whole words.
template <class Part>
void for_each_live_part(const char* lo, const char* hi, Part part) {
  Chunk& chunk = *Chunk::of(lo);
  PartJoiner<Part> joiner(part);
  for (const char* at = lo; at < hi;) {
    const auto block = static_cast<unsigned>(Chunk::offset_of(at) / kBlockBytes);
    const char* const end = std::min<const char*>(hi, chunk.block_address(block) + kBlockBytes);
    const BlockInfo info = chunk.info(block);
    const unsigned first = block - info.back;
    if (info.kind == kLargeBlock) {
      add_large_cell(chunk, first, at, end, joiner);
    } else if (info.kind != kFreeBlock && info.kind != kHeaderBlock) {
      add_small_cells(chunk, first, kCellClasses[info.kind - 1u], at, end, joiner);
    }
    at = end;
  }
}

}  // namespace tricolor::traced
