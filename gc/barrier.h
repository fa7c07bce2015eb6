#pragma once

// Shading: making an object grey. The inlined half of the write barrier is <tricolor/detail/barrier.hpp>.
//
//     shade(x):  if x is not marked (acquire):
//                    push x into the thread's buffer        [buffer.push-first]
//                    set x's mark (release)
//
// Why it is safe (the interleavings are in tests/model/):
//   1. Store before test: after H1 every store of a thread is shaded, or its target is still in a register or
//      frame when the thread answers H2, which scans both.
//   2. Push before mark: a termination round looks at every buffer after the last answer. If a thread reported
//      nothing because somebody else had marked x, then that somebody's push is visible by then.
//   3. A thread interrupted inside is not scanned there: it answers when it leaves (thread.depth), with x still
//      on its stack.
//   4. A leaf is only marked: with nothing to scan it is black at once.
//
//   thread A                    thread B                     why nothing is lost
//   stores x                    loads x before A's test      A answers after its shade; B's copy is covered by
//                                                            A's mark, or by A's buffer in the round
//   pushes x, not yet marked    shades x as well             x is queued twice and scanned twice: harmless
//   flushes                     answers H3 clean             the flush is an arrival: the round is not clean

#include <cstdint>

#include "gc/thread_data.h"
#include "runtime/heap/heap_map.h"
#include "runtime/thread.h"

namespace tricolor::gc {

// Shades the object that `address` points into, if any. By the owner of `thread`'s data, in a
// runtime section or handshake, while barriers are on.
void shade_address(runtime::Thread& thread, const void* address) noexcept;

// The same for a word of a stack or register: only cells that are handed out count, and the cell
// that ends at `word` counts too ([stacks.boundary]).
void shade_candidate(runtime::Thread& thread, uintptr_t word) noexcept;

// Hands the thread's buffer to the worklist.
void flush_buffer(ThreadData& data) noexcept;

}  // namespace tricolor::gc
