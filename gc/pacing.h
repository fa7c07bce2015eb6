#pragma once

// Pacing: the live side of the pacer: how large the heap is, when the next cycle is due, what allocation owes.
//
// [pacing.charge]  a thread counts what it takes for itself and adds it to the heap's figure in steps of
//                  kChargeStep, at once while a cycle marks.
// [pacing.outrun]  a thread that allocates while the heap is an eighth beyond its goal waits for the cycle to end, up
//                  to 1.1 ms for each kChargeStep at twice the goal: else the heap would grow without bound, all of it
//                  black, while a handshake waits for a thread that the system does not let run. From there on the
//                  wait doubles with each further quarter of the goal, up to a second: where a thread cannot answer
//                  at all, the heap stays within some four times its goal and 64 KiB a second and thread.
// [pacing.crowd]   where more threads run than there are processors, waits are longer by as much, so that all of them
//                  together allocate no faster than one a processor would; they begin 128 KiB a thread beyond the goal
//                  and end with the cycle alone. Threads that wait leave the processors to those that hold it up.
// [pacing.limit]   under a memory limit that the heap could keep to, a thread that allocates while the heap is a
//                  thirty-second beyond it waits for the cycle to end, up to 100 ms for each charge: who passes the
//                  limit of a control group is killed. While a cycle runs and all that the limit leaves is resident,
//                  no new span is made before its sweep has begun, again up to 100 ms. Under a group's limit counts
//                  what else of the process is resident, but for files.
// [pacing.dead]    a thread that allocates while what waits to be destroyed comes to more than a quarter of the goal,
//                  and 1 MiB, waits for the finalizer thread: up to 20 ms for each kChargeStep, in proportion longer
//                  where there is more, and not at all where nothing gets done, be it for want of a processor for
//                  more than a second.
// [pacing.external] memory that objects own outside (adjust_external_memory) counts as heap. What the dead own of it is
//                  known when they are destroyed: until then all that has come since the last time counts as
//                  theirs, and neither starts a cycle nor raises the goal.
// One assist lasts about 100 us at most; what it could not pay stays as the thread's debt.
// Threads: charge() and assist(): any, in a runtime section; the rest: the collector, or under lock().

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "gc/cpu_limiter.h"
#include "gc/overhead.h"
#include "gc/pacer.h"
#include "runtime/base/lock.h"
#include "runtime/thread.h"

namespace tricolor::gc {

class Pacing {
 public:
  static constexpr int64_t kChargeStep = 64 << 10;
  static constexpr int64_t kAssistSliceNs = 100'000;
  static constexpr int64_t kOutrunNs = 1'000'000;
  static constexpr int64_t kCrowdBytes = 128 << 10;
  static constexpr int64_t kLongestStallNs = 1'000'000'000;
  static constexpr int64_t kStallDebt = 128 << 10;  // scan work
  static constexpr int64_t kLimitWaitNs = 100'000'000;
  static constexpr int64_t kBeyondLimitShare = 32;
  static constexpr int64_t kMostToldSteps = 16;
  static constexpr int64_t kLeastQueue = 1 << 20;
  static constexpr int64_t kQueueShare = 4;
  static constexpr int64_t kQueueLookNs = 1'000'000;
  static constexpr int64_t kQueueWaitNs = 20'000'000;
  static constexpr int64_t kQueueStuckNs = 50'000'000;
  static constexpr int64_t kQueueStarvedNs =
      1'000'000'000;  // by other processes, or a long destructor
  static constexpr int64_t kAccountNs = CpuLimiter::kRimPerProcessorNs / 2;

  void init();

  void charge(runtime::Thread& thread, int64_t bytes, bool scanned) noexcept;
  // Adds what the thread has not charged yet.
  void flush(ThreadData& data) noexcept;
  void flush_departing(ThreadData& data) noexcept;

  // Bytes more, or fewer, that objects own outside. False, and nothing has changed, if there would
  // be less than none.
  bool adjust_external(runtime::Thread& thread, int64_t change) noexcept;
  int64_t external_bytes() noexcept;
  // All that were found dead are destroyed.
  void dead_are_destroyed() noexcept;
  // What the dead own outside, as far as that is known.
  int64_t dead_external() const noexcept { return dead_external_.load(std::memory_order_relaxed); }
  bool has_room_for_dead() const noexcept;
  // Of all threads, but for what they have not passed on yet.
  int64_t told_external() const noexcept {
    return std::max<int64_t>(0, external_.load(std::memory_order_relaxed));
  }

  int64_t heap_live() const noexcept {
    return std::max<int64_t>(0, heap_live_.load(std::memory_order_relaxed) - dead_external());
  }
  int64_t goal() const noexcept { return goal_.load(std::memory_order_relaxed); }
  // Only a call starts a cycle.
  bool never_due() const noexcept { return goal() == Pacer::kNever; }
  bool due() const noexcept { return heap_live() >= trigger_.load(std::memory_order_relaxed); }

  // The collector's steps.
  CyclePlan start_cycle(int64_t stack_bytes, int64_t root_bytes, bool forced) noexcept;
  void revise() noexcept;
  void end_cycle(const CycleEnd& end) noexcept;
  // From here on the garbage of the cycle can be had.
  void sweep_begins() noexcept { sweep_ahead_.store(false, std::memory_order_relaxed); }
  // [pacing.limit] False if there is no sweep to wait for.
  bool wait_for_sweep(runtime::Thread& thread) noexcept;
  // All garbage is swept.
  void end_sweep() noexcept;
  void update_goal() noexcept;
  // Whether a cycle is due by the goal as it is now. Between cycles.
  bool due_now() noexcept;
  // How much the page heap may keep resident, in use and free, while nothing happens, as of the
  // last update_goal().
  int64_t resident_goal() const noexcept { return resident_goal_.load(std::memory_order_relaxed); }
  bool periodic_due() noexcept;

  struct AssistTotals {
    int64_t ns = 0;
    int64_t slices = 0;
    int64_t longest_ns = 0;
  };
  AssistTotals take_assists() noexcept;
  int64_t assist_ns() const noexcept { return assist_ns_.load(std::memory_order_relaxed); }

  int set_gc_percent(int percent) noexcept;
  int64_t set_memory_limit(int64_t bytes) noexcept;
  double processors() const noexcept { return processors_; }
  // The CPU time that background marking and assists took in the cycle that ended at now_ns: where
  // the collector has had its half of the processors, assists are let off.
  void account_cycle(int64_t collector_ns, int64_t now_ns) noexcept;

  runtime::Lock& lock() noexcept { return lock_; }
  const Pacer& pacer() const noexcept { return *pacer_; }

 private:
  void assist(runtime::Thread& thread) noexcept;
  template <class Wait>
  void stall(runtime::Thread& thread, int64_t start, Wait wait) noexcept;
  // told_steps: for how many steps of memory outside, 0 for cells.
  void wait_if_outrun(runtime::Thread& thread, int64_t told_steps = 0) noexcept;
  double threads_per_processor() const noexcept;
  void wait_at_limit(runtime::Thread& thread) noexcept;
  void look_outside() noexcept;
  void wait_for_the_dead(runtime::Thread& thread) noexcept;
  void flush_external(ThreadData& data) noexcept;
  void publish_locked() noexcept;
  HeapBytes heap_bytes_locked() const noexcept;
  void update_goal_locked() noexcept;
  void account_cpu_locked(int64_t collector_ns, int64_t now_ns) noexcept;

  runtime::Lock lock_{runtime::LockRank::stats};
  Pacer* pacer_ = nullptr;         // guarded by lock_
  CpuLimiter* limiter_ = nullptr;  // guarded by lock_
  double processors_ = 1;          // constant
  bool limited_by_group_ = false;  // constant
  // Guarded by lock_.
  Overhead overhead_;
  int64_t marked_ = 0;          // by the last cycle
  int64_t outside_ = 0;         // what is resident beside the heap, where the group's limit counts
  int64_t live_external_ = 0;   // what its live objects own outside, as far as that is known
  int64_t ended_external_ = 0;  // what all owned when it ended
  int64_t cycle_began_ns_ = 0;  // the last one's marking
  int64_t accounted_until_ns_ = 0;  // what the limiter knows
  int64_t accounted_cpu_ns_ = 0;    // of the present cycle

  // All relaxed: amounts that steer; a stale one starts a cycle or an assist a little early or
  // late.
  std::atomic<int64_t> heap_live_{0};
  std::atomic<int64_t> heap_scan_{0};
  std::atomic<int64_t> external_{0};           // part of heap_live_
  std::atomic<int64_t> dead_external_{0};      // part of external_
  std::atomic<int64_t> released_external_{0};  // by destructors, since the last cycle ended
  std::atomic<bool> external_open_{false};     // until the dead of the last cycle are destroyed
  std::atomic<int64_t> queue_limit_{INT64_MAX};
  std::atomic<int64_t> trigger_{INT64_MAX};
  std::atomic<int64_t> goal_{INT64_MAX};
  std::atomic<int64_t> hard_line_{INT64_MAX};  // [pacing.limit]
  std::atomic<int64_t> resident_goal_{INT64_MAX};
  std::atomic<double> work_per_byte_{0};
  std::atomic<uint32_t> stalled_{0};      // threads that wait for the collector now
  std::atomic<bool> sweep_ahead_{false};  // a cycle runs
  std::atomic<bool> limiting_{false};     // by the CPU limiter
  std::atomic<bool> limited_{false};      // by the memory limit: the goal
  std::atomic<int64_t> assist_ns_{0};
  std::atomic<int64_t> assist_slices_{0};
  std::atomic<int64_t> assist_longest_ns_{0};
};

extern Pacing g_pacing;

}  // namespace tricolor::gc
