#pragma once

// Stacks: conservative scans of what threads keep in registers and frames, and of registered fiber stacks.
//
// [stacks.whole]  a thread found on a stack other than its own (a registered fiber's, a signal stack) has its own
//                 scanned in full, because nobody knows how deep it was when it left.
// [stacks.outgrown] a main stack is scanned from the stack pointer on although it lies beyond the bounds that the
//                 thread was attached with.
// [stacks.boundary] a word on the boundary of a cell keeps the cell before it too: compilers keep nothing but one
//                 past the end of an object that fills its cell, and step back from there. Heap words and roots are
//                 written by the program's own stores and need no such rule.
// [stacks.fibers] while fiber stacks are registered, termination rounds stop all threads: a reference could
//                 otherwise move from a stack not yet scanned to one already scanned, without passing a barrier.
// Threads: scan_thread_stack(): the thread itself or whoever answers for it. The registry: any, in a runtime
// section; prepare_fiber_stacks(): the collector;
// scan_fiber_stacks(): the same while threads are stopped.

#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/thread.h"

namespace tricolor::gc {

void scan_thread_stack(runtime::Thread& thread, runtime::StackView stack) noexcept;

// Calls `visit` for every word that may be an address in the heap, or the heap's end.
using VisitWord = void (*)(runtime::Thread& thread, uintptr_t word,
                           const uintptr_t* place) noexcept;
void visit_thread_stack(runtime::Thread& thread, runtime::StackView stack,
                        VisitWord visit) noexcept;

// Whether `address` lies in a registered stack.
bool on_other_stack(const void* address) noexcept;

// True when `lo` was new.
bool add_fiber_stack(const char* lo, const char* hi);
bool remove_fiber_stack(const char* lo) noexcept;
bool any_fiber_stacks() noexcept;
// While threads run: what can be settled before they stop.
void prepare_fiber_stacks() noexcept;
// Shades through `thread`'s buffer.
void scan_fiber_stacks(runtime::Thread& thread) noexcept;
// The same words, threads running or not: for those who report.
void visit_fiber_stacks(runtime::Thread& thread, VisitWord visit) noexcept;
runtime::Lock& fiber_stacks_lock() noexcept;

}  // namespace tricolor::gc
