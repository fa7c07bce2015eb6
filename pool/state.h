#pragma once

// State, Generation: what a pool consists of, all of it collected objects.
//
//     State --current--> Generation --slot--> Local --> rings --> objects
//           --victim---> Generation --slot--> Local --> rings --> objects
//           --counters-- slot --> PoolCounters
//
// A rotation makes the current generation the victim and leaves the pool without a current one;
// whoever puts next makes one. So dropping all that a generation holds is dropping a pointer,
// however much that is.
//
// [pool.current]   `current` counts only while its epoch is the pool's. An epoch never comes back, so a generation
//                  whose epoch has passed may be replaced, and one whose epoch is the pool's never is. `current`
//                  is read before `epoch` for that.
// [pool.epoch-first] Whoever ends a generation moves the epoch on first and clears `current` after: a thread that
//                  sees its entry's epoch in the pool finds the local reachable.
// [pool.listed]    a pool that has a generation is on the list of those to rotate. The hook takes it off, then
//                  looks at `current` again; a putter makes the generation first, then looks at `listed`.
// [pool.lock]      the epoch is moved on under the state's lock: the hook, drain() and the pool's end exclude each
//                  other for a few stores. get and put never take it.
// Threads: any.

#include <atomic>
#include <cstdint>

#include "pool/ring.h"
#include "pool/slot_table.h"
#include "runtime/base/lock.h"

namespace tricolor::sync::detail {

struct Generation {
  explicit Generation(uint64_t e) noexcept : epoch(e) {}

  const uint64_t epoch;
  SlotTable<Local> locals;
  // As a victim: nothing is left in the rings. Set by a thread that found them empty, so that later
  // gets do not look; relaxed, because who misses it only looks once more.
  std::atomic<bool> exhausted{false};
  // drain() was called, or the rotation after the next has come: nothing is taken from it any more.
  // Stored with release by who drops it, loaded with acquire by who is about to take from it.
  std::atomic<bool> dropped{false};
};

// All atomics seq_cst but where it says otherwise: slow paths, and [pool.epoch-first] and
// [pool.listed] need a single order.
struct PoolState {
  gc::atomic<Generation> current;
  gc::atomic<Generation> victim;
  std::atomic<bool> listed{false};
  gc::ptr<PoolState> next;  // on a list; written by who puts it there, then by the hook alone
  SlotTable<PoolCounters> counters;

  runtime::Lock lock{runtime::LockRank::pool};
  // Guarded by lock. Inverted, because the pool, which may itself lie in a collected object, is not
  // kept alive by its state; ~0 once it is closed.
  uintptr_t inverted_head;

  PoolHead* head_locked() const noexcept { return reinterpret_cast<PoolHead*>(~inverted_head); }

#if TRICOLOR_CHECKS
  std::atomic<int64_t> leases{0};
  std::atomic<const char*> lease_file{nullptr};  // the last one taken, for the report
  std::atomic<unsigned> lease_line{0};
#endif
};

// The pool's state, made if need be. std::bad_alloc.
PoolState& state_of(PoolHead& pool);

// The generation that is current right now, or nullptr.
Generation* current_generation(const PoolHead& pool, const PoolState& state) noexcept;
// The same; makes one if there is none. std::bad_alloc.
Generation* open_generation(const PoolHead& pool, PoolState& state);

// A step of the hook: the victim is dropped, the current generation becomes the victim, or, if
// `keep` is false, is dropped too. False when there is nothing to rotate any more. The collector's
// thread.
bool rotate(PoolState& state, bool keep) noexcept;

}  // namespace tricolor::sync::detail
