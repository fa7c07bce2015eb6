#pragma once

// Workers: the threads that mark in the background.
//
// There is one per processor, 5 nicer than the thread that started them. On a processor that the
// program keeps busy the scheduler gives a thread of that weight 335/(1024+335), a quarter: the 25%
// that the pacer counts on. A processor that is idle it gives them whole. What they use beyond a
// quarter of the wall time therefore counts as idle-priority work. Their policy is SCHED_BATCH: a
// cycle that wakes them all does not take the processor from a thread of the program that is
// running.
//
// Threads: init(): before the first cycle. start_missing(), forget_threads(): HelperThreads.

#include <atomic>
#include <cstdint>
#include <memory>

#include "gc/marker.h"

namespace tricolor::gc {

class Workers {
 public:
  // How many there are to be.
  void init(unsigned count) noexcept;

  // Starts those that are not there yet; false when the system refuses one.
  [[nodiscard]] bool start_missing() noexcept;

  // Relaxed: whoever marks looks whether it is alone.
  unsigned running() const noexcept { return running_.load(std::memory_order_relaxed); }

  // In the child of fork().
  void forget_threads() noexcept { running_.store(0, std::memory_order_relaxed); }

  // Figures since reset(): relaxed, for pacing and traces.
  struct Totals {
    MarkCounts counts;
    int64_t cpu_ns = 0;
  };
  void reset() noexcept;
  Totals totals() const noexcept;
  // Adds what any consumer has done; `background`: its work is credit for assists.
  void add(const MarkCounts& counts, bool background) noexcept;
  void add_cpu(int64_t ns) noexcept { cpu_ns_.fetch_add(ns, std::memory_order_relaxed); }

  // Takes up to `wanted` scan work off the credit that background marking has earned; gives what it
  // got.
  int64_t take_credit(int64_t wanted) noexcept;

  // Whether a worker's stack lies in this mapping: stale words on it are no references.
  bool has_stack_in(uintptr_t lo, uintptr_t hi) const noexcept;

 private:
  void main_loop(unsigned number) noexcept;

  unsigned count_ = 0;
  std::atomic<unsigned> running_{0};
  // A frame of each; stored by the worker (relaxed: an address that is compared, never followed).
  std::unique_ptr<std::atomic<uintptr_t>[]> frames_;
  std::atomic<int64_t> scan_work_{0};
  std::atomic<int64_t> marked_bytes_{0};
  std::atomic<int64_t> marked_scan_bytes_{0};
  std::atomic<int64_t> objects_{0};
  std::atomic<int64_t> cpu_ns_{0};
  std::atomic<int64_t> credit_{0};
};

extern Workers& g_workers;

}  // namespace tricolor::gc
