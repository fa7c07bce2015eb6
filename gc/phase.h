#pragma once

// Phase: where the collector stands in its cycle. Only the collector's thread moves it.
//
//   kIdle       nothing marks. Barriers off, allocation white. Spans may await the sweep.
//   kEnter      H1 (barriers on), then H2 (allocate black, first stack scans). Nothing is blackened by anybody.
//   kMark       workers and assists scan; ends in termination rounds (H3) until one is clean.
//   kClear      the weak gate is closed: every reachable object is marked. Weak references are cleared,
//               finalizers and cleanups queued.
//   kLeave      H4 (barriers off). When all have answered, the sweep generation moves on and the cycle is over.
//
//   kIdle -> kEnter -> kMark -> kClear -> kLeave -> kIdle
//
// A thread attached meanwhile starts with what its place in the cycle demands (thread_attached()).
//
// [alloc.black]  a thread allocates black from its answer to H2 until it sees the next sweep generation: not until
//                H4, because a cell handed out between the two would have no mark when its span is swept.

#include <atomic>
#include <cstdint>

namespace tricolor::gc {

enum class Phase : uint8_t { kIdle, kEnter, kMark, kClear, kLeave };

struct CycleState {
  // Stored by the collector (release). Read by workers and statistics (acquire), and by
  // thread_attached() under the threads' lock, which every transition that matters to it takes too
  // (it goes with a handshake).
  std::atomic<Phase> phase{Phase::kIdle};

  // Which handshake the threads have gone through; guarded by the threads' lock.
  bool barriers_on = false;
  bool allocate_black = false;

  // Moves on (release) when all threads have answered H4; spans of an older generation await the
  // sweep. Read
  // (acquire) under a span's lock.
  std::atomic<uint32_t> sweep_generation{1};
};

extern CycleState g_cycle;

}  // namespace tricolor::gc
