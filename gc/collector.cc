#include "gc/collector.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <new>

#include "gc/finalizer_thread.h"
#include "gc/helper_threads.h"
#include "gc/options.h"
#include "gc/outside_watch.h"
#include "gc/pacing.h"
#include "gc/phase.h"
#include "gc/scavenger.h"
#include "gc/specials.h"
#include "gc/sweep.h"
#include "gc/thread_data.h"
#include "gc/workers.h"
#include "gc/worklist.h"
#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/deputy.h"
#include "runtime/handshake.h"
#include "runtime/os/os.h"
#include "runtime/time_watch.h"

namespace tricolor::gc {

using runtime::BlockedWait;
using runtime::Thread;
namespace futex = runtime::futex;
namespace os = runtime::os;

namespace {
constinit runtime::Immortal<Collector> g_the_collector;
}  // namespace

Collector& g_collector = g_the_collector.value;
constinit CycleState g_cycle;
constinit std::atomic<OpenRoots*> g_open_roots{nullptr};

bool Collector::start() noexcept {
  if (has_thread_.load(std::memory_order_relaxed)) return true;
  {
    // Before it is there: from here on no cycle begins elsewhere.
    const std::lock_guard guard(lock_);
    has_thread_.store(true, std::memory_order_relaxed);
  }
  if (start_thread("tc-collector", [](unsigned) noexcept { g_collector.main_loop(); })) return true;
  lose_thread();
  return false;
}

// Whoever has come to rely on it meanwhile looks again.
void Collector::lose_thread() noexcept {
  {
    const std::lock_guard guard(lock_);
    has_thread_.store(false, std::memory_order_relaxed);
  }
  done_.fetch_add(1, std::memory_order_release);
  futex::wake(&done_, INT32_MAX);
}

bool Collector::on_this_thread() const noexcept {
  const Thread* const self = self_.load(std::memory_order_relaxed);
  return self != nullptr && Thread::current() == self;
}

void Collector::trigger(Thread& thread) noexcept {
  if (!triggered_.exchange(true, std::memory_order_acq_rel)) {
    wake_.fetch_add(1, std::memory_order_release);
    futex::wake(&wake_, 1);
    if (runtime::TimeWatch* const watch = runtime::time_watch())
      watch->happened(runtime::Timed::kTrigger, g_pacing.heap_live());
  }
  if (g_helper_threads.missing()) run_due_here(thread);
}

void Collector::request_without_waiting() noexcept {
  requested_.store(true, std::memory_order_release);
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
}

void Collector::stress(Thread& thread) noexcept {
  const int64_t every = options().gcstress;
  if (every == 0) return;
  if (++thread.slow_paths % every == 0) trigger(thread);
}

// [collector.full]
void Collector::collect(HooksHere hooks) {
  Thread& thread = Thread::attached();
  if (on_this_thread()) {
    runtime::fatal(
        "a pre-mark hook waits for a collection: the collector runs hooks and cannot do both");
  }
  const runtime::TimedScope timed(runtime::Timed::kCollect);
  uint64_t target;
  {
    const runtime::RuntimeScope scope(thread);
    if (g_helper_threads.missing()) g_helper_threads.start();
    const std::lock_guard guard(lock_);
    target = begun_ + 1;
    wanted_ = std::max(wanted_, target);
  }
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
  for (;;) {
    const uint32_t seen = done_.load(std::memory_order_acquire);
    if (finished_.load(std::memory_order_acquire) >= target) return;
    if (!has_thread_.load(std::memory_order_relaxed) && begin_here(thread, true)) {
      run_here(thread, true, hooks);
      continue;
    }
    const BlockedWait wait(&thread);
    futex::wait(&done_, seen);
  }
}

void Collector::main_loop() noexcept {
  Thread* self;
  try {
    self = &Thread::attached();
  } catch (const std::exception&) {
    // Somebody else runs the cycles, and asks for this thread again: noted once it is gone, or a
    // start in between would find it there.
    lose_thread();
    g_helper_threads.note_missing();
    g_worklist.wake_stalled();
    return;
  }
  self->enter();  // for good: it answers its own handshakes, and those of fork() only while it
                  // waits
  for (;;) {
    const bool forced = wait_for_work(*self);
    if (g_helper_threads.missing()) g_helper_threads.start();
    run_cycle_as(*self, forced, true);
  }
}

// A cycle that has begun; `self` is the calling thread's record.
void Collector::run_cycle_as(Thread& self, bool forced, bool all_hooks) noexcept {
  self_.store(&self, std::memory_order_relaxed);
  all_hooks_ = all_hooks;
  try {
    run_cycle(forced);
  } catch (const std::bad_alloc&) {
    runtime::fatal(
        "std::bad_alloc from a pre-mark hook: a cycle needs no memory, and hooks see to their own");
  }
  self_.store(nullptr, std::memory_order_relaxed);
}

// [collector.one-runner]
bool Collector::may_begin_locked() const noexcept {
  return held_ == 0 && !here_ && finished_.load(std::memory_order_relaxed) == begun_;
}

// Sleeps until a cycle is due; true if somebody waits for it.
bool Collector::wait_for_work(Thread& self) noexcept {
  constexpr unsigned kLooksAPeriod = OutsideWatch::kPeriodNs / OutsideWatch::kHurryNs;
  bool outside_grew = false;
  unsigned looks = 0;
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    const bool triggered = triggered_.exchange(false, std::memory_order_acq_rel);
    return_excess_pages();
    return_unused_cells_if_many(false);
    {
      const std::lock_guard guard(lock_);
      if (may_begin_locked()) {
        const bool forced =
            wanted_ > begun_ || requested_.exchange(false, std::memory_order_acq_rel);
        if (forced || (triggered && (g_pacing.due_now() || options().gcstress != 0)) ||
            g_pacing.periodic_due() || outside_grew) {
          ++begun_;
          return forced;
        }
      }
    }
    bool timed_out;
    {
      const BlockedWait wait(&self);
      timed_out = !futex::wait(&wake_, seen, g_outside_watch.period_ns());
    }
    if (timed_out) {
      outside_grew = g_outside_watch.look();
      if (++looks % kLooksAPeriod != 0 && g_outside_watch.period_ns() != OutsideWatch::kPeriodNs) {
        continue;
      }
      g_pacing.update_goal();
      return_surplus_pages();
      return_unused_cells_if_many(true);
    }
  }
}

// Begins a cycle on the calling thread, where there is none for cycles. `wanted`: somebody waits
// for it, be it due or not.
bool Collector::begin_here(Thread& thread, bool wanted) noexcept {
  const runtime::RuntimeScope scope(thread);
  const std::lock_guard guard(lock_);
  if (has_thread_.load(std::memory_order_relaxed) || !may_begin_locked()) return false;
  const bool requested = requested_.exchange(false, std::memory_order_acq_rel);
  triggered_.store(false, std::memory_order_relaxed);
  if (!wanted && !requested && wanted_ <= begun_ && options().gcstress == 0 &&
      !g_pacing.due_now()) {
    return false;
  }
  ++begun_;
  here_ = true;
  return true;
}

// Runs the cycle that begin_here() has begun. The thread counts as blocked meanwhile, so its stack
// and registers are scanned as they are here; the cycle runs under another record.
void Collector::run_here(Thread& thread, bool forced, HooksHere hooks) noexcept {
  {
    const runtime::Deputy deputy(thread);
    run_cycle_as(deputy.record(), forced, hooks == HooksHere::kAll);
  }
  const runtime::RuntimeScope scope(thread);
  {
    const std::lock_guard guard(lock_);
    here_ = false;
  }
  done_.fetch_add(1, std::memory_order_release);
  futex::wake(&done_, INT32_MAX);
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
}

// The same for a cycle that is due, unless a helper can be had by now.
void Collector::run_due_here(Thread& thread) noexcept {
  if (on_this_thread()) return;
  g_helper_threads.start();
  if (has_thread_.load(std::memory_order_relaxed) || !begin_here(thread, false)) return;
  run_here(thread, false, HooksHere::kOwn);
}

double Collector::cpu_fraction() noexcept {
  const std::lock_guard guard(history_lock_);
  const auto elapsed = static_cast<double>(os::now_ns() - os::process_start_ns());
  const double available = elapsed * g_pacing.processors();
  return available <= 0 ? 0 : static_cast<double>(history_.collector_cpu_ns) / available;
}

void Collector::count_stall(int64_t ns) noexcept {
  stalls_.fetch_add(1, std::memory_order_relaxed);
  int64_t seen = longest_stall_ns_.load(std::memory_order_relaxed);
  while (ns > seen &&
         !longest_stall_ns_.compare_exchange_weak(seen, ns, std::memory_order_relaxed)) {
  }
}

void Collector::add_marked(const ThreadData& data) noexcept {
  threads_marked_.fetch_add(data.marked_bytes + data.newborn_bytes, std::memory_order_relaxed);
}

void Collector::hold_for_fork() noexcept {
  if (on_this_thread()) runtime::fatal("fork() inside a pre-mark hook");
  const BlockedWait wait(Thread::current());
  for (bool counted = false;;) {
    const uint32_t seen = done_.load(std::memory_order_acquire);
    {
      const std::lock_guard guard(lock_);
      if (!counted) ++held_;
      counted = true;
      if (finished_.load(std::memory_order_acquire) == begun_ && !here_) return;
    }
    futex::wait(&done_, seen);
  }
}

void Collector::resume_after_fork(bool child) {
  {
    const std::lock_guard guard(lock_);
    held_ = child ? 0 : held_ - 1;
    if (child) wanted_ = begun_;  // those who waited are gone
  }
  if (child) {
    has_thread_.store(false, std::memory_order_relaxed);
    return;  // a thread is started when there is something to do
  }
  // Those who run cycles themselves, where there is no thread to.
  done_.fetch_add(1, std::memory_order_release);
  futex::wake(&done_, INT32_MAX);
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
}

}  // namespace tricolor::gc
