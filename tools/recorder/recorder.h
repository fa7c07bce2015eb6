#pragma once

// Recorder: writes what a process does with its heap as a trace (bench/traces/FORMAT.md).
//
// Every thread fills a lane of its own; one counter gives every event its ticket. A full lane is
// compressed and written by the thread that filled it.
//
// [recorder.ticket-under-lane]  a ticket is taken and its event encoded under one hold of a lane's
//                               lock: once every lane was flushed, tickets have no holes.
// [recorder.free-first]         a free is recorded before the block is given back, an allocation
//                               after it was made, so the events of one address never overlap.
// [recorder.unseen]             what the recorder itself allocates is not recorded, nor what a
//                               signal handler does that interrupts the recorder.
//
// Lock order: a turn (watch.h), registry, lanes, then output or a shard of the address table.
// Threads: any, from within the allocator; errno is preserved.

#include <cstddef>
#include <cstdint>

#include "bench/trace/format.h"

namespace tools::recorder {

using bench::trace::Kind;

// Reads the environment and begins to record. Called once, when the library is loaded.
void start();

// True when this call, on this thread, is to be recorded.
bool is_recording();

inline constexpr uint64_t kNoTicket = ~uint64_t{0};

// A block was allocated: `kind` is kAlloc, kAllocZeroed or kAllocAligned, or kAllocTyped for one
// that holds no references (the only type there is; its elements are bytes).
void note_alloc(Kind kind, const void* block, size_t bytes, unsigned align_log2 = 0);
// A block is about to be freed.
void note_free(const void* block);

// A block is about to be reallocated: what it was filed under, to be given to one of the two below.
uint64_t begin_realloc(const void* block);
void end_realloc(uint64_t before, const void* new_block, size_t bytes);
void cancel_realloc(uint64_t before, const void* block);

// kStore: word `slot` of the object with ticket `place`; kRootSet, kRootClear: the root `place`. It
// refers to the object with ticket `target`, or to nothing (kNoTicket). Within a turn (watch.h).
void note_reference(Kind kind, uint64_t place, uint64_t slot, uint64_t target);

void note_mark(const char* text);
void note_request(Kind kind, uint64_t request);

// The process ends: writes everything and the closing record. Later events are not recorded.
void finish();
// The process may end: exec succeeds or returns. resume() goes on after it returned.
void suspend();
void resume();

}  // namespace tools::recorder
