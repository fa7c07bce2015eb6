#pragma once

// FinalizerThread: runs destructors, finalizers and cleanups of the dead, on a thread of its own, or
// where the program says (runtime::finalize_by_hand).
//
// Finalizers and cleanups are tasks, in order of arrival; objects with a destructor are cells
// (DeadCells), which come after them. Neither queue needs memory: [task.no-memory],
// [sweep.no-memory].
//
// [finalizer.own-thread]  no destructor of a dead object, finalizer or cleanup runs on any other thread, and no two of
//                         them at a time: whoever runs some holds the turn (`runner_`). But where the system refuses
//                         that thread, wait_for_finalizers() runs them on the one that calls it.
// [finalizer.roots]       a queued or running finalizer's object is a root; one that is taken from the queue while
//                         barriers are on is shaded, as by a weak lock, for the collector may not have come to it.
// [finalizer.exactly-once] a task is taken out before it runs; so is a dead object ([dead.once]).
// [finalizer.exit]        nothing begins once exit() has begun: the turn is taken before `stopping_` is looked at, both
//                         sequentially consistent, and exit sets it before it looks who has the turn and waits for it.
// An exception that leaves a finalizer or cleanup is fatal, as from any thread.
// Threads: queue*(): anybody but a signal handler. for_each_root(): the collector.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gc/dead_cells.h"
#include "gc/helper_threads.h"
#include "gc/task.h"
#include "runtime/base/lock.h"
#include "runtime/heap/span.h"

namespace tricolor::gc {

class FinalizerThread {
 public:
  constexpr FinalizerThread() noexcept = default;

  void queue(TaskList& tasks) noexcept;
  // More dead `cells` of the span have a destructor to run. Under the span's lock.
  void queue_dead(runtime::Span& span, uint32_t cells) noexcept;

  // Without the lock while it visits; those taken from the queue meanwhile it need not see. One
  // walk at a time.
  template <class Visit>
  void for_each_root(Visit visit) noexcept {
    std::array<char*, kRootsAtOnce> objects;
    bool begins = true;
    do {
      const size_t count = copy_roots(begins, objects);
      for (size_t i = 0; i < count; ++i) visit(objects[i]);
      begins = false;
    } while (walk_goes_on());
  }

  // Starts the thread when there is something to do and it is not there yet. Not under locks. Where
  // it is refused, everything stays queued and later calls try again.
  void start_if_needed() noexcept;

  // Waits until everything queued so far has run. Not on the finalizer thread itself. Without a
  // limit of time it runs on the calling thread what no other can be had for; with one it returns.
  void wait_until_idle(int64_t timeout_ns = -1) noexcept;

  // At process exit: nothing more is begun, and what runs is waited for, up to kExitWaitNs.
  // [finalizer.exit]
  void stop_at_exit() noexcept;

  bool is_stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }

  // Waits until what runs now is over, or until `at_most_ns` have passed; gives whether it is.
  bool wait_for_turn(int64_t at_most_ns) noexcept;

  // Whether it is this thread that runs finalizers and destructors now.
  bool on_this_thread() const noexcept;

  // From here on they run in run_by_hand() alone (or no longer); gives what was so before.
  bool set_by_hand(bool on) noexcept;
  bool by_hand() const noexcept { return by_hand_.load(std::memory_order_relaxed); }
  // Runs up to `most`; gives how many. Waits while another thread runs some.
  size_t run_by_hand(size_t most) noexcept;

  // What waits: tasks and dead objects.
  uint64_t waiting() noexcept;
  // Changes as they run.
  uint64_t progress() const noexcept {
    return done_tasks_.load(std::memory_order_relaxed) +
           done_dead_.load(std::memory_order_relaxed) + static_cast<uint64_t>(g_dead_cells.begun());
  }

  // Whether its own thread has something to do and is not held up but for want of a processor. Asks
  // the system.
  bool is_runnable() const noexcept;

  // Waits until wake_for_room() has been called, or until `at_most_ns` have passed.
  void wait_for_room(runtime::Thread& thread, int64_t at_most_ns) noexcept;

  // In the child of fork(): the thread is gone and is started again when there is something to do.
  // What it was running counts as done; what it had only taken, its successor begins. Nobody else
  // runs.
  void forget_thread() noexcept;

 private:
  static constexpr size_t kRootsAtOnce = 128;
  static constexpr size_t kLooks = 4096;  // tasks seen under one hold of the lock
  static constexpr uint64_t kRunsAnnounced = 64;
  // A waiter looks again after so long: those behind what it waits for may take their time.
  static constexpr int64_t kWaitNs = 10'000'000;
  static constexpr int64_t kExitWaitNs = 1'000'000'000;
  static constexpr size_t kMostAtOnce = 64;

  // The right to run something.
  class Turn;

  // Objects of the running and of queued tasks from where the walk has come to, as many as there is
  // room for.
  size_t copy_roots(bool begins, std::span<char*> objects) noexcept;
  bool walk_goes_on() noexcept;
  void announce() noexcept;
  void main_loop() noexcept;
  // The last thread started found no memory for its record, a short while ago.
  bool cannot_attach() noexcept;
  // False when the thread is needed and was refused.
  bool start_in_section(bool even_if_refused) noexcept;
  void note_refused() noexcept;
  bool run_here() noexcept;
  bool take_task() noexcept;
  bool has_work_locked() const noexcept;
  size_t run_some(size_t most) noexcept __attribute__((noinline));
  void sleep(uint32_t seen, int64_t timeout_ns) noexcept;

  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_.
  TaskList tasks_;
  const Task* walk_ = nullptr;  // the next task of for_each_root(), queued still; nullptr: over
  // What has been taken. Whether it has been begun is written by whoever runs it and read, where
  // that is gone, by the next (relaxed).
  Task* task_ = nullptr;
  std::atomic<bool> task_begun_{false};
  uint64_t queued_tasks_ = 0;
  bool started_ = false;  // the thread of its own is there, or about to be
  bool unattached_ = false;
  Patience patience_;
  // How many have run: stored by whoever runs them (release), waited for by others (acquire).
  std::atomic<uint64_t> done_tasks_{0};
  std::atomic<uint64_t> done_dead_{0};
  uint64_t batches_ = 0;  // of the thread's own
  // Changes with arrivals and completions (seq_cst, against sleepers_); slept on by the thread and
  // by waiters.
  std::atomic<uint32_t> wake_{0};
  std::atomic<uint32_t> sleepers_{0};
  // Changes when there may be room again; slept on by threads that allocate. Both seq_cst.
  std::atomic<uint32_t> room_{0};
  std::atomic<uint32_t> room_waiters_{0};
  std::atomic<bool> stopping_{false};  // [finalizer.exit]
  std::atomic<bool> by_hand_{false};   // relaxed: a setting
  // Whoever has the turn: taken and looked at by exit() seq_cst; compared with their own by others
  // (relaxed: equal only on that thread); given up by a release, which the next taker acquires.
  std::atomic<const void*> runner_{nullptr};
  std::atomic<uint64_t> turns_{0};  // that are over: seq_cst, beside runner_
  // The record of the thread of its own: stored by itself, compared by the child of a fork()
  // (relaxed: equal only on that thread).
  std::atomic<const void*> self_{nullptr};
  std::atomic<int> tid_{0};  // of the same thread (relaxed: a number); 0: there is none
};

// Never destroyed.
FinalizerThread& finalizer_thread() noexcept;

}  // namespace tricolor::gc
