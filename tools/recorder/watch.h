#pragma once

// Watch: what a recorder sees beside allocations and frees. Three recorders are linked from the
// same parts and differ in the definitions of this header: watch_nothing.cc (preloaded under
// malloc), watch_stores.cc (programs compiled with hooks at their stores) and watch_snapshots.cc
// (programs on Boehm's collector).
//
// Threads: any, from within the allocator. A Turn is held around everything that changes which
// blocks exist; it comes before every lock of the recorder.

#include <cstddef>
#include <cstdint>

namespace tools::recorder::watch {

extern const char kName[];          // in the trace: recorder=NAME
extern const uint32_t kFlags;       // of the trace
extern const bool kFreesByReuse;    // an address that is given out again was freed unseen
extern const bool kCopiesReallocs;  // realloc is recorded as malloc, the stores of a copy, and free

void take_turn();
void end_turn();

class Turn {
 public:
  Turn() { take_turn(); }
  ~Turn() { end_turn(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
};

// Within a turn.
void began(const void* block, size_t bytes, uint64_t ticket, bool may_refer);
void ended(const void* block);
void forget_all();

}  // namespace tools::recorder::watch
