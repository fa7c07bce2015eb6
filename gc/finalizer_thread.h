#pragma once

// FinalizerThread: runs destructors, finalizers and cleanups of the dead, on a thread of its own.
//
// Entries are in order of arrival. An object waiting for its destructor is not a root: nothing may
// follow its references, and its cell stays in use until the destructor has run (Span::pending).
//
// [finalizer.own-thread]  no destructor of a dead object, finalizer or cleanup runs on any other thread; but where the
//                         system refuses that thread, wait_for_finalizers() runs them on the one that calls it. One at
//                         a time has the role (taken_).
// [finalizer.roots]       a queued or running finalizer's object is a root; one that is taken from the queue while
//                         barriers are on is shaded, as by a weak lock, for the collector may not have come to it.
// [finalizer.exactly-once] an entry is taken out before it runs; the hidden TypeInfo word of a destroyed object is
//                         cleared before its cell is freed.
// An exception that leaves a finalizer or cleanup is fatal, as from any thread.
// Threads: queue_*() and Batch: anybody but a signal handler. for_each_root(): the collector.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <utility>

#include "gc/helper_threads.h"
#include "runtime/base/lock.h"

namespace tricolor::gc {

class FinalizerThread {
 public:
  // A finalizer (with its object) or a cleanup (without).
  struct Entry {
    uintptr_t hidden = kNone;  // ~address: what a queue leaves behind is no reference
    std::function<void()> run;

    Entry() = default;
    Entry(const char* object, std::function<void()> f)
        : hidden(~reinterpret_cast<uintptr_t>(object)), run(std::move(f)) {}
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    char* object() const noexcept { return reinterpret_cast<char*>(~hidden); }
    static constexpr uintptr_t kNone = ~uintptr_t{0};  // of nullptr
  };

  // Queues many entries with few locks; they are announced when the batch ends.
  class Batch {
   public:
    explicit Batch(FinalizerThread& thread) noexcept : thread_(thread) {}
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;
    void add(Entry entry) {
      if (count_ == entries_.size()) flush();
      entries_[count_++] = std::move(entry);
    }

   private:
    void flush();

    FinalizerThread& thread_;
    std::array<Entry, 64> entries_;
    size_t count_ = 0;
    bool used_ = false;
  };

  void queue_cleanup(std::function<void()> run);
  // `hidden`: ~address of each dead object. Gives how many, of the first ones, are queued: fewer
  // when there is no memory for more.
  size_t queue_destructors(std::span<const uintptr_t> hidden) noexcept;

  // Without the lock while it visits: by numbers of entries, which those taken meanwhile do not
  // change.
  template <class Visit>
  void for_each_root(Visit visit) noexcept {
    std::array<char*, kBatch> objects;
    uint64_t next = 0;
    do {
      const size_t count = copy_roots(next, objects);
      for (size_t i = 0; i < count; ++i) visit(objects[i]);
    } while (next != 0);
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
  static constexpr size_t kLooks = 4096;  // entries seen under one hold of the lock
  static constexpr uint64_t kRunsAnnounced = 64;
  // A waiter looks again after so long: those behind what it waits for may take their time.
  static constexpr int64_t kWaitNs = 10'000'000;

  // Objects of the running and of queued entries from number `next` on, as many as there is room
  // for; moves `next` on, to 0 after the last. At 0 it begins.
  size_t copy_roots(uint64_t& next, std::span<char*> objects) noexcept;
  void announce() noexcept;
  void main_loop() noexcept;
  bool take_role(bool even_if_refused) noexcept;
  void give_role_back(bool refused) noexcept;
  // False when the thread is needed and was refused.
  bool start_in_section(bool even_if_refused) noexcept;
  void run_here() noexcept;
  bool take_some() noexcept;
  bool has_work_locked() const noexcept;
  bool run_some() noexcept __attribute__((noinline));

  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_.
  std::deque<Entry> entries_;
  std::deque<uintptr_t>
      dead_;  // ~address of objects to be destroyed: no references for anybody's scan
  // What the thread has taken: an entry, or a batch of the dead. How much of it has been begun is
  // written by the thread and read, where that is gone, by its successor (relaxed).
  bool has_entry_ = false;
  Entry entry_;
  std::atomic<bool> entry_begun_{false};
  std::array<uintptr_t, kBatch> batch_{};
  size_t batch_size_ = 0;
  std::atomic<size_t> batch_begun_{0};
  uint64_t queued_entries_ = 0;
  uint64_t queued_dead_ = 0;
  bool taken_ = false;  // there is a thread that runs what is queued, or about to be
  Patience patience_;
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
