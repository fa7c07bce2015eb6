#pragma once

// Lock, Event, futex: how threads of the library wait for each other.
//
// [lock.rank]    a thread acquires locks in strictly rising rank; LockRank::none is not checked.
//                Checked in TRICOLOR_DEBUG builds. try_lock() may break the order: it cannot wait.
// [lock.signal]  a signal handler may take a lock only if no code that the signal can interrupt
//                holds that lock (block the signal first, or raise a mark the handler looks at).
//                Nothing here allocates; errno is preserved.
// Threads: any. A lock is released by the thread that acquired it.

#include <atomic>
#include <cstdint>

#include "runtime/base/check.h"

namespace tricolor::runtime {

// The lock order, outermost first. Add a rank where it belongs; the numbers carry no other meaning.
enum class LockRank : uint8_t {
  none = 0,  // unchecked; also what zero-filled memory holds
  pool = 4,
  cycle = 8,
  known_threads = 12,
  threads = 16,
  roots = 20,
  fibers = 22,
  worklist = 32,
  large = 36,
  central = 40,
  span = 44,
  page_heap = 48,
  metadata = 52,
  stats = 56,
  traced_cells = 57,
  traced_chunks = 58,
  trace_log = 60,
  leaf = 63,
};

namespace futex {

// Sleeps while *word == expected, until woken or until timeout_ns has passed (negative: no limit).
// May return early for no reason. False only when the time ran out.
bool wait(std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns = -1) noexcept;

// Wakes up to `count` sleepers; returns how many.
int wake(std::atomic<uint32_t>* word, int count = 1) noexcept;

}  // namespace futex

class Lock {
 public:
  constexpr Lock() noexcept = default;
  explicit constexpr Lock(LockRank rank) noexcept
      : word_(static_cast<uint32_t>(rank) << kRankShift) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void lock() noexcept {
    if constexpr (kRanksChecked) check_order();
    if ((word_.fetch_or(kHeld, std::memory_order_acquire) & kHeld) != 0) lock_slow();
    if constexpr (kRanksChecked) note_acquired();
  }

  bool try_lock() noexcept {
    if ((word_.load(std::memory_order_relaxed) & kHeld) != 0) return false;
    if ((word_.fetch_or(kHeld, std::memory_order_acquire) & kHeld) != 0) return false;
    if constexpr (kRanksChecked) note_acquired();
    return true;
  }

  void unlock() noexcept {
    if constexpr (kRanksChecked) note_released();
    const uint32_t rank_bits = word_.load(std::memory_order_relaxed) & ~(kHeld | kSleepers);
    const uint32_t before = word_.exchange(rank_bits, std::memory_order_release);
    if ((before & kSleepers) != 0) futex::wake(&word_, 1);
  }

  // A hint only, unless the caller is the holder.
  bool is_held() const noexcept { return (word_.load(std::memory_order_relaxed) & kHeld) != 0; }

  LockRank rank() const noexcept {
    return static_cast<LockRank>(word_.load(std::memory_order_relaxed) >> kRankShift);
  }

 private:
  static constexpr bool kRanksChecked = TRICOLOR_DEBUG != 0;
  static constexpr uint32_t kHeld = 1;
  static constexpr uint32_t kSleepers = 2;  // somebody sleeps, or may: unlock() wakes one
  static constexpr unsigned kRankShift = 24;

  void lock_slow() noexcept;
  void check_order() const noexcept;
  void note_acquired() const noexcept;
  void note_released() const noexcept;

  // Bits 0 and 1 as above, the rank in the top byte. Acquired by fetch_or (acquire), which reads
  // what the exchange (release) in unlock() wrote: the pair orders everything done under the lock.
  // The rank bits never change, so unlock() may read them relaxed.
  std::atomic<uint32_t> word_{0};
};
static_assert(sizeof(Lock) == 4);

// A wake-up that is remembered: set() before wait() makes that wait() return at once. One set()
// lets one wait() pass; setting twice counts once. set() may be called from a signal handler.
class Event {
 public:
  constexpr Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() noexcept;

  // True when the event was set (and is now consumed), false when timeout_ns passed first
  // (negative: no limit; zero: only look). What happened before set() is visible after wait().
  bool wait(int64_t timeout_ns = -1) noexcept;

 private:
  static constexpr uint32_t kClear = 0;
  static constexpr uint32_t kSet = 1;
  static constexpr uint32_t kSleepers = 2;  // clear, and somebody sleeps, or may

  // set() stores kSet (release), wait() takes it away (acquire): the pair carries the setter's
  // writes.
  std::atomic<uint32_t> state_{kClear};
};

}  // namespace tricolor::runtime
