#pragma once

// Span: a run of pages that holds cells of one size and one kind, or a single large object.
//
// The cells' state lies outside the span, in two bitmaps of the HeapMap: `alloc` (handed out to a
// thread, or holding an object) and `mark` (reached in the running cycle). Bit i is cell i; bits
// beyond the last cell are always set in `alloc`.
//
// [span.lock]        alloc bits, cursor, generation and pending change only under `lock`. Mark bits are set
//                    by anybody while marking runs (atomically) and cleared by the sweep, under `lock`.
// [span.generation]  equal to the heap's sweep generation: swept; else its mark bits await the sweep.
// [span.returned]    4 KiB of a span may have been returned to the system only if no cell in use lies on them. That is
//                    found, done and noted in `returned` under `lock`, as handing out a cell that lies there is noted.
// [span.state]       `state` and `next` are guarded by the central list of the span's cache index.
// Span headers lie in a table indexed by page and are never unmapped: a stale Span* may be locked
// and looked at.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"

#include <tricolor/detail/size_class.hpp>

namespace tricolor::runtime {

using gc::detail::Kind;

enum class SpanState : uint8_t {
  kFree,   // no span: its pages are the page heap's       -> kOwned (new span), kLarge
  kOwned,  // one thread hands out its cells               -> kIdle (exhausted), kPartial (thread
           // exits)
  kIdle,   // full, or waiting for the sweep               -> kPartial, kFree, kOwned (swept for an
           // allocation)
  kPartial,  // swept, has free cells, in a central list     -> kOwned, kIdle (a new sweep begins)
  kLarge,    // a single object                              -> kFree
};

struct Span;

// Of a span of Kind::kDestructor: which cells hold the dead whose destructor has still to run. Bits
// follow the header; all of it changes under the span's lock, but `next`.
struct PendingCells {
  Span* next =
      nullptr;          // in the queue of the thread that runs destructors, under that queue's lock
  bool queued = false;  // in that queue, or being worked on

  uint64_t* words() noexcept { return reinterpret_cast<uint64_t*>(this + 1); }
};

struct alignas(64) Span {
  Lock lock{LockRank::span};
  uint32_t first_page = 0;
  uint32_t pages = 0;
  // Written under `lock` (release) by whoever sweeps or creates the span; read without it (acquire)
  // to skip a span that is swept already, and then nothing else is read.
  std::atomic<uint32_t> generation{0};
  uint8_t size_class = 0;
  Kind kind = Kind::kScan;
  SpanState state = SpanState::kFree;
  // An object of it may have been sampled: set by the thread that makes the object, read by
  // gc::destroy, whose caller has it from there. Relaxed.
  std::atomic<bool> sampled{false};
  uint16_t cells = 0;
  uint16_t cursor = 0;   // the next bitmap word the owner takes cells from
  size_t cell_size = 0;  // bytes; for a large object, its usable size
  Span* next = nullptr;  // in a central list
  // In a queue of the sweep: under the queue's lock, which whoever linked it has held since. Says
  // nothing once the span is out of it; another span at this page leaves it alone.
  Span* next_unswept = nullptr;
  PendingCells* pending = nullptr;  // only spans of Kind::kDestructor have it
  uint32_t returned = 0;            // [span.returned] a bit for each 4 KiB

  bool is_large() const noexcept { return size_class == gc::detail::kLargeClass; }
  uint32_t words() const noexcept { return (static_cast<uint32_t>(cells) + 63) / 64; }
  // The bits of word `w` that are no cells.
  uint64_t tail_mask(uint32_t w) const noexcept {
    const uint32_t used = cells - w * 64;
    return used >= 64 ? 0 : ~uint64_t{0} << used;
  }
  unsigned cache_index() const noexcept { return gc::detail::cache_index(kind, size_class); }
};
static_assert(sizeof(Span) == 64);

}  // namespace tricolor::runtime
