#pragma once

// The few things the allocator asks of the collector. gc/ implements them; the heap knows nothing
// else of it.

#include <cstddef>
#include <cstdint>

#include "runtime/heap/span.h"

namespace tricolor::runtime {

class Thread;

// The current sweep generation. Acquire: what the cycle decided before it began to sweep is
// visible.
uint32_t sweep_generation() noexcept;

// The same, as a read-modify-write: ordered against the moves of the generation
// ([spans.second-look]).
uint32_t latest_sweep_generation() noexcept;

// Turns the mark bits of `span` into its alloc bits if its generation is behind. Under span.lock.
struct SweptSpan {
  uint32_t live = 0;   // cells in use afterwards
  bool swept = false;  // false: it was swept already
};
SweptSpan sweep_locked(Span& span) noexcept;

// A span of this cache index that the sweep has still to visit, taken from the queue; nullptr when
// none is left.
Span* next_unswept(unsigned cache_index) noexcept;

// Under a memory limit that leaves no room for new pages, waits for the sweep that the running
// cycle leads to. False, at once, where there is none to wait for.
bool wait_for_sweep() noexcept;

// Whether cells handed out by `thread` are to be marked (see [alloc.black] in gc/phase.h);
// `generation` is the one the span's lock holder has just read.
bool allocates_black(const Thread& thread, uint32_t generation) noexcept;

// `thread` was given `bytes` of cells: start a cycle or assist the running one. Inside a runtime
// section, without locks.
void charge_allocation(Thread& thread, size_t bytes, Kind kind) noexcept;

// The same for a large object; counts it.
void charge_large_allocation(Thread& thread, const Span& span) noexcept;

// No memory: a full collection if it may help. True if the caller should try again. Outside runtime
// sections.
bool collect_for_memory(Thread& thread, unsigned attempt) noexcept;

// Cells and objects are zeroed before anybody can see them (GODEBUG=gccheckmark), not by the
// inlined path alone.
bool zero_early() noexcept;

// How much of the heap may be in use (debug::set_max_heap); SIZE_MAX: all of it.
size_t max_heap_bytes() noexcept;

}  // namespace tricolor::runtime
