#pragma once

// FinalizerThread: runs destructors, finalizers and cleanups of the dead, on a thread of its own.
//
// Entries are in order of arrival. A queued finalizer keeps its object alive (for_each_root()); an
// object waiting for its destructor is not a root: nothing may follow its references, and its cell
// stays in use until the destructor has run (Span::pending).
//
// [finalizer.own-thread]  no destructor of a dead object, finalizer or cleanup runs on any other thread.
// [finalizer.exactly-once] an entry is taken out before it runs; the hidden TypeInfo word of a destroyed object is
//                         cleared before its cell is freed.
// An exception that leaves a finalizer or cleanup is fatal, as from any thread.
// Threads: queue_*(): anybody but a signal handler. for_each_root(): the collector.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>

#include "runtime/base/lock.h"

namespace tricolor::gc {

class FinalizerThread {
 public:
  // False when there is no memory to queue it.
  bool queue_destructor(char* object) noexcept;
  void queue_finalizer(char* object, std::function<void()> run);
  void queue_cleanup(std::function<void()> run);

  template <class Visit>
  void for_each_root(Visit visit) noexcept {
    lock_.lock();
    if (running_ != nullptr) visit(running_);
    for (const Entry& entry : entries_) {
      if (entry.object != nullptr) visit(entry.object);
    }
    lock_.unlock();
  }

  // Starts the thread when there is something to do and it is not there yet. Not under locks.
  void start_if_needed() noexcept;

  // Waits until everything queued so far has run. Not on the finalizer thread itself.
  void wait_until_idle(int64_t timeout_ns = -1) noexcept;

  // At process exit: nothing more is begun.
  void stop_beginning() noexcept { stopping_.store(true, std::memory_order_relaxed); }

  bool on_this_thread() const noexcept;

  // In the child of fork(): the thread is gone and is started again when there is something to do.
  void forget_thread() noexcept { started_ = false; }

 private:
  static constexpr size_t kBatch = 128;

  // A finalizer (with its object) or a cleanup (without).
  struct Entry {
    char* object;
    std::function<void()> run;
  };

  void push(Entry entry);
  void announce() noexcept;
  void main_loop() noexcept;
  bool run_some() noexcept __attribute__((noinline));

  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_.
  std::deque<Entry> entries_;
  std::deque<uintptr_t>
      dead_;  // ~address of objects to be destroyed: no references for anybody's scan
  char* running_ = nullptr;  // the object whose finalizer is running
  uint64_t queued_entries_ = 0;
  uint64_t queued_dead_ = 0;
  bool started_ = false;
  // How many have run: stored by the thread (release), waited for by others (acquire).
  std::atomic<uint64_t> done_entries_{0};
  std::atomic<uint64_t> done_dead_{0};
  // Changes with arrivals and completions (seq_cst, against sleepers_); slept on by the thread and
  // by waiters.
  std::atomic<uint32_t> wake_{0};
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<bool> stopping_{false};  // relaxed: a hint at exit
  // The thread's record: stored by itself, compared with their own by others (relaxed: equal only
  // on that thread).
  std::atomic<const void*> self_{nullptr};
};

// Constructed on first use, never destroyed.
FinalizerThread& finalizer_thread() noexcept;

}  // namespace tricolor::gc
