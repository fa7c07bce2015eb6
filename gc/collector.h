#pragma once

// Collector: the thread that runs cycles, and how others ask it for one.
//
// [collector.full]    collect() waits for a cycle that began after the call, so that everything unreachable then is
//                     found.
// [collector.order]   a cycle begins only when the one before is swept.
// [collector.one-runner] one thread at a time runs a cycle: the collector's, or, where that cannot be had, a thread
//                     that wants the collection, under a second record (runtime/deputy.h). Who it is, is settled
//                     under lock_ as the cycle begins.
// Threads: trigger(), collect(), stress(): any. The cycle itself: a thread under a record that is attached, because
// pre-mark hooks use collected objects.

#include <array>
#include <atomic>
#include <cstdint>

#include "gc/hooks.h"
#include "gc/marker.h"
#include "gc/open_roots.h"
#include "runtime/base/lock.h"
#include "runtime/thread.h"
#include "runtime/trace_log.h"

namespace tricolor::gc {

class Collector {
 public:
  // Starts the thread, if it is not there; false when the system refuses it. HelperThreads.
  [[nodiscard]] bool start() noexcept;

  // A cycle is due. Cheap when one has been asked for already. In a runtime section, where the
  // thread may be blocked: without a collector's thread it runs the cycle itself.
  void trigger(runtime::Thread& thread) noexcept;

  // A forced cycle, as soon as may be; returns at once. Callable in a signal handler.
  void request_without_waiting() noexcept;

  // Something was asked for, and there is no thread to do it: whoever passes by calls trigger().
  bool needs_runner() const noexcept {
    return requested_.load(std::memory_order_relaxed) &&
           !has_thread_.load(std::memory_order_relaxed);
  }

  // Which pre-mark hooks a cycle may run on the thread that wants it, if it has to run there: hooks
  // of the program may need a lock that the thread holds.
  enum class HooksHere : uint8_t { kOwn, kAll };

  // A full collection; the caller counts as blocked meanwhile. std::bad_alloc when the caller has
  // to run it and there is no memory for a record.
  void collect(HooksHere hooks = HooksHere::kAll);

  // GODEBUG=gcstress=N: a cycle every N-th slow path of a thread.
  void stress(runtime::Thread& thread) noexcept;

  bool on_this_thread() const noexcept;
  Hooks& hooks() noexcept { return hooks_; }

  // What the cycles so far came to; read under history_lock().
  struct History {
    uint32_t cycles = 0;
    uint32_t forced = 0;
    int64_t last_end_wall_ns = 0;
    int64_t pause_total_ns = 0;
    std::array<uint64_t, 256> pause_ns{};
    std::array<uint64_t, 256> pause_end{};
    int64_t collector_cpu_ns = 0;
    int64_t stack_bytes = 0;
  };
  runtime::Lock& history_lock() noexcept { return history_lock_; }
  const History& history() const noexcept { return history_; }
  double cpu_fraction() noexcept;

  // An allocation had to wait for a collection.
  void count_stall(int64_t ns) noexcept;

  // What a thread has marked and allocated in the running cycle: at H4, or as it leaves.
  void add_marked(const ThreadData& data) noexcept;

  // Around fork(): waits until no cycle runs; the child starts a new thread.
  void hold_for_fork() noexcept;
  void resume_after_fork(bool child);

 private:
  struct Timeline {
    int64_t start = 0;
    int64_t marking = 0;
    int64_t terminating = 0;
    int64_t end = 0;
    int64_t start_cpu = 0;
    int64_t terminating_cpu = 0;
    int64_t enter_cpu = 0;
    int64_t terminate_cpu = 0;
    int64_t hooks = 0;
    int64_t longest_handshake = 0;
    int64_t longest_stop = 0;
    int64_t handshakes = 0;
  };

  runtime::Thread* self() const noexcept { return self_.load(std::memory_order_relaxed); }
  void main_loop() noexcept;
  bool wait_for_work(runtime::Thread& self) noexcept;
  bool may_begin_locked() const noexcept;
  void run_cycle_as(runtime::Thread& self, bool forced, bool all_hooks) noexcept;
  void run_due_here(runtime::Thread& thread) noexcept;
  bool begin_here(runtime::Thread& thread, bool wanted) noexcept;
  void run_here(runtime::Thread& thread, bool forced, HooksHere hooks) noexcept;
  void lose_thread() noexcept;
  void run_cycle(bool forced);
  void enter();
  void mark_roots(Marker& marker);
  void mark();
  void help_mark(Marker& marker, int64_t work);
  bool terminate(uint64_t arrivals);
  bool revive_in_cycles();
  bool drain_in_stop(OpenRoots& open);
  void mark_open_roots_at_once(OpenRoots& open, Marker& marker, bool standing);
  void mark_contents_at_once(Marker& marker, runtime::Cell cell);
  void mark_roots_at_once(Marker& marker);
  void rescan_marked_objects(Marker& marker);
  void clear();
  void leave();
  void finish_cycle(bool forced);
  void print_traces(const runtime::CycleTrace& trace) const;
  void note_handshakes() noexcept;

  Hooks hooks_;

  // Cycles asked for and done, by number; guarded by lock_.
  runtime::Lock lock_{runtime::LockRank::cycle};
  uint64_t begun_ = 0;
  uint64_t wanted_ = 0;  // the last cycle that somebody waits for
  uint32_t held_ = 0;    // calls of fork() under way
  bool here_ = false;    // a thread of the program runs the cycle
  // Stored under lock_; read elsewhere as a hint (relaxed).
  std::atomic<bool> has_thread_{false};
  // Stored under lock_ (release), waited for (acquire).
  std::atomic<uint64_t> finished_{0};
  std::atomic<bool> requested_{false};
  // Set by trigger(), taken by the thread: a hint, the figures decide.
  std::atomic<bool> triggered_{false};
  // Changes when there is something to do, or a cycle has ended; slept on by the collector and by
  // waiters.
  std::atomic<uint32_t> wake_{0};
  std::atomic<uint32_t> done_{0};

  // The record that the cycle runs under: stored by its thread, nullptr between cycles; compared
  // with their own by others (relaxed: equal only there).
  std::atomic<runtime::Thread*> self_{nullptr};

  // The runner's own.
  bool forced_ = false;
  bool all_hooks_ = true;
  Timeline time_;
  int stops_ = 0;  // of this cycle
  int64_t heap_at_start_ = 0;
  int64_t heap_at_end_ = 0;
  int64_t cycle_goal_ = 0;
  int64_t stack_bytes_ = 0;
  int64_t root_bytes_ = 0;
  int64_t pages_swept_ = 0;

  // Marked and newborn bytes of all threads in this cycle: added to in handshakes and departures
  // (relaxed), read by the collector after them.
  std::atomic<int64_t> threads_marked_{0};

  std::atomic<int64_t> stalls_{0};
  std::atomic<int64_t> longest_stall_ns_{0};

  runtime::Lock history_lock_{runtime::LockRank::trace_log};
  History history_;  // guarded by history_lock_
};

extern Collector& g_collector;

}  // namespace tricolor::gc
