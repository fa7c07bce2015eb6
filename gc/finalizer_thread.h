#pragma once

// FinalizerThread: runs destructors, finalizers and cleanups of the dead, on a thread of its own.
//
// Tasks are in order of arrival. An object waiting for its destructor is not a root: nothing may
// follow its references, and its cell stays in use until the destructor has run (Span::pending).
//
// [finalizer.own-thread]  no destructor of a dead object, finalizer or cleanup runs on any other thread; but where the
//                         system refuses that thread, wait_for_finalizers() runs them on the one that calls it. One at
//                         a time has the role (taken_).
// [finalizer.roots]       a queued or running finalizer's object is a root; one that is taken from the queue while
//                         barriers are on is shaded, as by a weak lock, for the collector may not have come to it.
// [finalizer.exactly-once] a task is taken out before it runs; the hidden TypeInfo word of a destroyed object is
//                         cleared before its cell is freed.
// An exception that leaves a finalizer or cleanup is fatal, as from any thread.
// Queues need no memory: [task.no-memory], [sweep.no-memory].
// Threads: queue*(): anybody but a signal handler. for_each_root(): the collector.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gc/dead_queue.h"
#include "gc/helper_threads.h"
#include "gc/task.h"
#include "runtime/base/lock.h"

namespace tricolor::gc {

class FinalizerThread {
 public:
  constexpr FinalizerThread() noexcept = default;

  void queue(TaskList& tasks) noexcept;
  // The span has dead objects, added to the DeadQueue just now. Under its lock.
  void queue_destructors(runtime::Span& span) noexcept;

  // Without the lock while it visits; those taken from the queue meanwhile it need not see. One
  // walk at a time.
  template <class Visit>
  void for_each_root(Visit visit) noexcept {
    std::array<char*, kBatch> objects;
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

  // At process exit: nothing more is begun.
  void stop_beginning() noexcept { stopping_.store(true, std::memory_order_relaxed); }

  bool on_this_thread() const noexcept;

  // In the child of fork(): the thread is gone and is started again when there is something to do.
  // What it was running counts as done; what it had only taken, its successor begins. Nobody else
  // runs.
  void forget_thread() noexcept;

 private:
  static constexpr size_t kBatch = 128;
  static constexpr size_t kLooks = 4096;  // tasks seen under one hold of the lock
  static constexpr uint64_t kRunsAnnounced = 64;
  // A waiter looks again after so long: those behind what it waits for may take their time.
  static constexpr int64_t kWaitNs = 10'000'000;

  // Objects of the running and of queued tasks from where the walk has come to, as many as there is
  // room for.
  size_t copy_roots(bool begins, std::span<char*> objects) noexcept;
  bool walk_goes_on() noexcept;
  void announce() noexcept;
  void main_loop() noexcept;
  bool take_role(bool even_if_refused) noexcept;
  void give_role_back(bool refused) noexcept;
  // The last thread started found no memory for its record, a short while ago.
  bool cannot_attach() noexcept;
  // False when the thread is needed and was refused.
  bool start_in_section(bool even_if_refused) noexcept;
  void run_here() noexcept;
  bool take_some() noexcept;
  bool has_work_locked() const noexcept;
  bool run_some() noexcept __attribute__((noinline));

  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_.
  TaskList tasks_;
  const Task* walk_ = nullptr;  // the next task of for_each_root(), queued still; nullptr: over
  // What the thread has taken: a task, or a batch of the dead. How much of it has been begun is
  // written by the thread and read, where that is gone, by its successor (relaxed).
  Task* task_ = nullptr;
  std::atomic<bool> task_begun_{false};
  std::array<uintptr_t, kBatch> batch_{};  // ~address: no references for anybody's scan
  size_t batch_size_ = 0;
  uint64_t batch_spans_ = 0;
  std::atomic<size_t> batch_begun_{0};
  uint64_t queued_tasks_ = 0;
  bool taken_ = false;  // there is a thread that runs what is queued, or about to be
  bool unattached_ = false;
  Patience patience_;
  DeadQueue dead_;
  // How many tasks and turns of the dead are over: stored by the thread (release), waited for by
  // others (acquire).
  std::atomic<uint64_t> done_tasks_{0};
  std::atomic<uint64_t> done_turns_{0};
  // Changes with arrivals and completions (seq_cst, against sleepers_); slept on by the thread and
  // by waiters.
  std::atomic<uint32_t> wake_{0};
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<bool> stopping_{false};  // relaxed: a hint at exit
  // The thread's record: stored by itself, compared with their own by others (relaxed: equal only
  // on that thread).
  std::atomic<const void*> self_{nullptr};
};

// Never destroyed.
FinalizerThread& finalizer_thread() noexcept;

}  // namespace tricolor::gc
