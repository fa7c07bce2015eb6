#pragma once

// Helper threads: how the library starts threads of its own, and goes on without.
//
// The system may refuse a thread (a limit on processes, a control group, no memory for its stack).
// Nothing fails for that: without workers the collector's thread marks by itself, without that one
// the thread that wants a collection runs the cycle (Collector::run_here), and finalizers wait.
// What is missing is asked for again when it is needed next, at growing intervals. After fork()
// nothing is started before the child needs it: most children only exec.
// Threads: any, in a runtime section, so that fork() comes before or after.

#include <atomic>
#include <cstdint>

namespace tricolor::gc {

// While this thread starts one of the library's own, which attach themselves where they need to.
extern thread_local bool t_starting_helper;

// A detached thread of the library: all signals blocked except those that report an error of the
// thread itself. False when it cannot be had.
[[nodiscard]] bool start_thread(const char* name, void (*run)(unsigned) noexcept,
                                unsigned number = 0) noexcept;

// When to ask again for what was refused, at intervals that grow while the shortage lasts. Guarded
// by whoever owns it.
class Patience {
 public:
  bool over() const noexcept;
  void refused() noexcept;
  void reset() noexcept { *this = {}; }

 private:
  int64_t next_ns_ = 0;
  int64_t pause_ns_ = 0;
};

class HelperThreads {
 public:
  // Whether the collector's thread or a worker is not there. Relaxed: a hint.
  bool missing() const noexcept { return missing_.load(std::memory_order_relaxed); }

  // Starts what is missing, unless it was refused a short while ago.
  void start() noexcept;

  // A thread has ended that could not do its work.
  void note_missing() noexcept { missing_.store(true, std::memory_order_relaxed); }

  // In the child of fork().
  void forget() noexcept;

 private:
  std::atomic<bool> missing_{true};
  std::atomic<bool> starting_{false};  // taken (acquire) and given back (release): one at a time
  Patience patience_;                  // guarded by starting_
};

extern constinit HelperThreads g_helper_threads;

}  // namespace tricolor::gc
