#include <algorithm>
#include <mutex>

#include "gc/collector.h"
#include "gc/dead_cells.h"
#include "gc/finalizer_thread.h"
#include "gc/pacing.h"
#include "gc/thread_data.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "runtime/time_watch.h"

#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc {

using runtime::Thread;

bool Pacing::has_room_for_dead() const noexcept {
  return g_dead_cells.bytes() + dead_external() <= queue_limit_.load(std::memory_order_relaxed);
}

// [pacing.dead]
void Pacing::wait_for_the_dead(Thread& thread) noexcept {
  FinalizerThread& finalizers = finalizer_thread();
  ThreadData& data = *thread.data;
  uint64_t done = finalizers.progress();
  if (data.gave_up_at == done || finalizers.by_hand() || finalizers.on_this_thread() ||
      g_collector.on_this_thread()) {
    return;
  }
  const runtime::TimedScope timed(runtime::Timed::kWaitForDead);
  const int64_t limit = queue_limit_.load(std::memory_order_relaxed);
  const int64_t waiting = g_dead_cells.bytes() + dead_external();
  const int64_t start = runtime::os::now_ns();
  const int64_t end = start + kQueueWaitNs * std::max<int64_t>(1, waiting / limit);
  int64_t progress = start;
  int64_t now = start;
  while (!has_room_for_dead() && now < end && !finalizers.is_stopping()) {
    finalizers.wait_for_room(thread, kQueueLookNs);
    now = runtime::os::now_ns();
    if (const uint64_t seen = finalizers.progress(); seen != done) {
      done = seen;
      progress = now;
    } else if (now - progress > kQueueStuckNs &&
               (now - progress > kQueueStarvedNs || !finalizers.is_runnable())) {
      data.gave_up_at = done;  // a destructor may wait for a lock of this thread's
      break;
    }
  }
  g_collector.count_stall(now - start);
}

void Pacing::flush_external(ThreadData& data) noexcept {
  const int64_t change = data.uncharged_external.load(std::memory_order_relaxed);
  data.uncharged_external.store(0, std::memory_order_relaxed);
  external_.fetch_add(change, std::memory_order_relaxed);
  heap_live_.fetch_add(change, std::memory_order_relaxed);
  if (change >= 0 || !finalizer_thread().on_this_thread()) return;
  // [pacing.external] The dead give back what was theirs.
  released_external_.fetch_sub(change, std::memory_order_relaxed);
  int64_t theirs = dead_external_.load(std::memory_order_relaxed);
  while (!dead_external_.compare_exchange_weak(theirs, std::max<int64_t>(0, theirs + change),
                                               std::memory_order_relaxed)) {
  }
}

// Exact when nobody else reports meanwhile.
int64_t Pacing::external_bytes() noexcept {
  runtime::lock_threads(Thread::current());
  int64_t bytes = external_.load(std::memory_order_relaxed);
  for (const Thread* t = runtime::g_threads.first(); t != nullptr; t = t->next) {
    bytes += t->data->uncharged_external.load(std::memory_order_relaxed);
  }
  runtime::g_threads.lock().unlock();
  return bytes;
}

bool Pacing::adjust_external(Thread& thread, int64_t change) noexcept {
  ThreadData& data = *thread.data;
  const int64_t before = data.uncharged_external.load(std::memory_order_relaxed);
  data.uncharged_external.store(before + change, std::memory_order_relaxed);
  if (before + change > -kChargeStep && before + change < kChargeStep) return true;
  if (external_.load(std::memory_order_relaxed) + before + change < 0 && external_bytes() < 0) {
    data.uncharged_external.store(before, std::memory_order_relaxed);
    return false;
  }
  flush_external(data);
  if (change < 0) return true;
  if (!has_room_for_dead()) wait_for_the_dead(thread);
  if (!due()) return true;
  if (!detail::load_word(TRICOLOR_THIS_THREAD.marking)) g_collector.trigger(thread);
  // Telling takes no time: nothing but this holds up a thread that does so again and again.
  wait_if_outrun(thread, std::clamp<int64_t>(change / kChargeStep, 1, kMostToldSteps));
  return true;
}

// [pacing.external]
void Pacing::dead_are_destroyed() noexcept {
  if (!external_open_.load(std::memory_order_relaxed)) return;
  const std::lock_guard guard(lock_);
  if (!external_open_.exchange(false, std::memory_order_relaxed)) return;
  dead_external_.store(0, std::memory_order_relaxed);
  live_external_ =
      std::max<int64_t>(0, ended_external_ - released_external_.load(std::memory_order_relaxed));
  pacer_->correct_heap_marked(marked_ + live_external_);
  publish_locked();
}

void Pacing::flush_departing(ThreadData& data) noexcept {
  flush(data);
  flush_external(data);
}

}  // namespace tricolor::gc
