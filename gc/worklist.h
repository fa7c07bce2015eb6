#pragma once

// Worklist: the shared queue of grey objects, in blocks of a page.
//
// An item is the address of a cell whose object is marked and has still to be scanned, in a block
// of kind kPieces that of a piece of a large object, in one of kEdges an address that was found.
// Who holds a block (a worker, an assist) counts as active.
//
// [worklist.arrivals]  every block that becomes available counts in arrivals(), before it can be taken: a
//                      termination round in which the count moved is not clean.
// [worklist.active]    a consumer is active from before it takes a block until everything it found is back in
//                      the list, or scanned. So under the lock: list empty and nobody active means no grey
//                      object outside the threads' buffers.
// [worklist.open]      nothing is given out before marking is open: a barrier that is on early may
//                      hand over its buffer, but nobody may blacken anything before all have
//                      answered H2.
// [worklist.overflow]  when no memory is left for a block, items are dropped and overflowed() is set: the cycle
//                      then marks from the roots again, and looks for marked objects with unmarked children by
//                      walking the heap.
// [worklist.reserve]   the collector and every worker find a mark stack, and some blocks exist, however little memory
//                      is left: each walk after an overflow marks something new, so a cycle ends.
// Threads: any; inside runtime sections or in a handshake. Never malloc.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "gc/mark_stack.h"
#include "runtime/base/lock.h"

namespace tricolor::gc {

enum class WorkKind : uint32_t {
  kObjects,  // marked objects, to be scanned
  kPieces,   // where pieces of large marked objects begin, to be scanned
  kEdges,    // addresses found, to be looked up, marked and scanned
  kForeign,  // what an open process has outside of the heap (gc/open_roots.h)
};

struct WorkBlock {
  static constexpr uint32_t kCapacity = 510;

  WorkBlock* next;
  uint32_t count;
  WorkKind kind;
  std::array<uint64_t, kCapacity> items;
};

class Worklist {
 public:
  // Room for so many mark stacks, set aside before the program can have used up the memory. False:
  // there is none.
  [[nodiscard]] bool reserve(size_t stacks) noexcept;

  void give_empty(WorkBlock* block) noexcept;
  void put_items(WorkKind kind, const uint64_t* items, size_t count) noexcept;

  // Marking begins; consumers are woken. Marking is over.
  void open() noexcept;
  void close() noexcept;

  // Makes the caller active and gives it a block; nullptr (and not active) if there is none.
  WorkBlock* begin_work() noexcept;
  // A further block for an active caller.
  WorkBlock* more_work() noexcept;
  // The caller is active with work that was never in the list.
  void begin_own_work() noexcept;
  void end_work() noexcept;

  MarkStack* take_stack() noexcept;  // nullptr: no memory
  void give_stack(MarkStack* stack) noexcept;

  // Nothing to be had: a hint.
  bool looks_empty() const noexcept {
    return available_.load(std::memory_order_relaxed) == 0 ||
           !is_open_.load(std::memory_order_relaxed);
  }
  // Somebody waits for work, and there is none to take.
  bool is_hungry() const noexcept { return somebody_waits() && looks_empty(); }
  bool quiescent() noexcept;
  uint64_t arrivals() const noexcept { return arrivals_.load(std::memory_order_acquire); }

  // Sleeps until something arrives after `seen`, or wake_all(), or the time is over.
  void wait_for_arrival(uint32_t seen, int64_t timeout_ns) noexcept;
  uint32_t wake_word() const noexcept { return wake_.load(std::memory_order_acquire); }
  void wake_all() noexcept;
  // The same for a thread of the program, which sleeps until wake_stalled() too: the cycle is over.
  void wait_stalled(uint32_t seen, int64_t timeout_ns) noexcept;
  // Until the cycle is over, whatever arrives: of many threads each would wake for every block.
  uint32_t cycle_end_word() const noexcept { return cycle_end_.load(std::memory_order_acquire); }
  void wait_for_cycle_end(uint32_t seen, int64_t timeout_ns) noexcept;
  void wake_stalled() noexcept;
  bool somebody_waits() const noexcept { return waiting_.load(std::memory_order_relaxed) != 0; }

  void set_overflowed() noexcept { overflowed_.store(true, std::memory_order_relaxed); }
  bool take_overflowed() noexcept { return overflowed_.exchange(false, std::memory_order_relaxed); }

  size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  runtime::Lock& lock() noexcept { return lock_; }
  // In the child of fork(): the other threads' part is over.
  void reset_after_fork() noexcept;

 private:
  static constexpr size_t kChunkBytes = size_t{1} << 20;
  static constexpr size_t kReservedBlocks = 64;

  WorkBlock* take_empty() noexcept;  // nullptr: no memory
  void put(WorkBlock* block) noexcept;
  void* carve_locked(size_t bytes) noexcept;

  runtime::Lock lock_{runtime::LockRank::worklist};
  // Guarded by lock_.
  WorkBlock* full_ = nullptr;
  WorkBlock* empty_ = nullptr;
  MarkStack* stacks_ = nullptr;
  char* chunk_ = nullptr;  // the rest of the last chunk
  size_t chunk_left_ = 0;
  uint32_t active_ = 0;
  // Written under lock_, read without it as a hint (relaxed) ...
  std::atomic<uint32_t> available_{0};
  std::atomic<bool> is_open_{false};
  // ... but for arrivals_: the collector reads it (acquire) before and after a round; the answers
  // of the round
  // (release) come after the stores that matter.
  std::atomic<uint64_t> arrivals_{0};
  // Changed (release) after an arrival; consumers sleep on it.
  std::atomic<uint32_t> wake_{0};
  std::atomic<uint32_t> waiting_{0};
  // Of those who wait, the threads of the program. Raised (seq_cst) before wake_ is compared, read
  // after wake_ is changed: one of the two sees the other.
  std::atomic<uint32_t> stalled_{0};
  // Changes (release) when a cycle is over; slept on.
  std::atomic<uint32_t> cycle_end_{0};
  std::atomic<bool> overflowed_{false};
  std::atomic<size_t> bytes_{0};
};

extern Worklist g_worklist;

}  // namespace tricolor::gc
