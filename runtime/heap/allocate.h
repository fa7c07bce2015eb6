#pragma once

// The allocator's slow paths: the next cells for a thread, large objects, and giving cells back.
//
// A thread takes cells a bitmap word at a time: under the span's lock the free bits of the word
// become alloc bits, and from then on the cells are this thread's, to hand out without lock or
// atomic.
//
// [alloc.word-locked]  a word is taken under the span's lock, from a span swept in the same section: the sweep
//                      can neither miss the new alloc bits nor take cells away.
//                      While the thread allocates black ([alloc.black] in gc/phase.h), they are marked there too.

#include "runtime/heap/heap_map.h"
#include "runtime/thread.h"

namespace tricolor::runtime {

// Gives all unused cells and spans of the calling (or a dead) thread back.
void return_cells(Thread& thread) noexcept;

// Marks the cells that `thread` may still hand out: it allocates black from now on. In a handshake.
void mark_unused_cells(Thread& thread) noexcept;

// Makes one cell free again that holds no object any more; marking is off for `thread`. Under no
// lock.
void free_cell(Thread& thread, Span& span, uint32_t index) noexcept;

// Whether a cell that is handed out has not been allocated by the thread that holds it. Takes the
// threads' lock.
bool is_unused(Cell cell) noexcept;

// Unused cells of `thread` per cache index; reads racily.
uint32_t unused_cells(const Thread& thread, unsigned cache_index) noexcept;

}  // namespace tricolor::runtime
