#include "gc/collector.h"

#include <algorithm>
#include <mutex>
#include <new>

#include "gc/finalizer_thread.h"
#include "gc/options.h"
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
#include "runtime/handshake.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

using runtime::BlockedWait;
using runtime::Thread;
namespace futex = runtime::futex;
namespace os = runtime::os;

namespace {
constinit runtime::Immortal<Collector> g_the_collector;
constexpr int64_t kIdlePeriodNs = 100'000'000;
}  // namespace

Collector& g_collector = g_the_collector.value;
constinit CycleState g_cycle;

void Collector::start() {
  start_thread("tc-collector", [this] { main_loop(); });
}

bool Collector::on_this_thread() const noexcept {
  const Thread* const self = self_.load(std::memory_order_relaxed);
  return self != nullptr && Thread::current() == self;
}

void Collector::trigger() noexcept {
  if (triggered_.exchange(true, std::memory_order_acq_rel)) return;
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
}

void Collector::request_without_waiting() noexcept {
  requested_.store(true, std::memory_order_release);
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
}

void Collector::stress(Thread& thread) noexcept {
  const int64_t every = options().gcstress;
  if (every == 0) return;
  if (++thread.slow_paths % every == 0) trigger();
}

// [collector.full]
void Collector::collect() {
  Thread& thread = Thread::attached();
  if (on_this_thread()) {
    runtime::fatal(
        "a pre-mark hook waits for a collection: the collector runs hooks and cannot do both");
  }
  uint64_t target;
  {
    const runtime::RuntimeScope scope(thread);
    const std::lock_guard guard(lock_);
    target = begun_ + 1;
    wanted_ = std::max(wanted_, target);
  }
  const BlockedWait wait(&thread);
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
  for (;;) {
    const uint32_t seen = done_.load(std::memory_order_acquire);
    if (finished_.load(std::memory_order_acquire) >= target) return;
    futex::wait(&done_, seen);
  }
}

void Collector::main_loop() {
  Thread& self = Thread::attached();
  self_.store(&self, std::memory_order_relaxed);
  self.enter();  // for good: it answers its own handshakes, and those of fork() only while it
                 // waits
  for (;;) {
    const bool forced = wait_for_work();
    try {
      run_cycle(forced);
    } catch (const std::bad_alloc&) {
      runtime::fatal(
          "no memory for the collector's own lists (8 bytes a span), and no cycle can do without");
    }
  }
}

// Sleeps until a cycle is due; true if somebody waits for it.
bool Collector::wait_for_work() noexcept {
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    const bool triggered = triggered_.exchange(false, std::memory_order_acq_rel);
    return_excess_pages();
    {
      const std::lock_guard guard(lock_);
      if (held_ == 0) {
        const bool forced =
            wanted_ > begun_ || requested_.exchange(false, std::memory_order_acq_rel);
        if (forced || (triggered && (g_pacing.due_now() || options().gcstress != 0)) ||
            g_pacing.periodic_due()) {
          ++begun_;
          return forced;
        }
      }
    }
    bool timed_out;
    {
      const BlockedWait wait(self());
      timed_out = !futex::wait(&wake_, seen, kIdlePeriodNs);
    }
    if (timed_out) {
      g_pacing.update_goal();
      return_surplus_pages();
    }
  }
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
      if (finished_.load(std::memory_order_acquire) == begun_) return;
    }
    futex::wait(&done_, seen);
  }
}

void Collector::resume_after_fork(bool child) {
  {
    const std::lock_guard guard(lock_);
    held_ = child ? 0 : held_ - 1;
  }
  if (child) {
    self_.store(nullptr, std::memory_order_relaxed);
    start();
    return;
  }
  wake_.fetch_add(1, std::memory_order_release);
  futex::wake(&wake_, 1);
}

}  // namespace tricolor::gc
