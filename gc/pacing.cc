#include "gc/pacing.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>

#include "gc/collector.h"
#include "gc/dead_cells.h"
#include "gc/marker.h"
#include "gc/options.h"
#include "gc/phase.h"
#include "gc/thread_data.h"
#include "gc/workers.h"
#include "gc/worklist.h"
#include "runtime/handshake.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"
#include "runtime/os/cgroup.h"
#include "runtime/os/os.h"
#include "runtime/time_watch.h"

namespace tricolor::gc {

using runtime::Thread;

constinit Pacing g_pacing;

namespace {

constexpr int64_t kAssistStepWork = 32 << 10;  // between looks at the clock

int64_t table_bytes() noexcept {
  return static_cast<int64_t>(g_worklist.bytes() + runtime::g_heap.table_bytes());
}

void raise_to(std::atomic<int64_t>& maximum, int64_t value) noexcept {
  int64_t seen = maximum.load(std::memory_order_relaxed);
  while (value > seen && !maximum.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace

void Pacing::init() {
  processors_ = runtime::os::available_processors();
  int64_t limit = options().memory_limit;
  if (!options().memory_limit_given) {
    // A control group's limit ends the process when it is passed: stay 10% below, as the system's
    // own figure includes what is not ours.
    const int64_t group = runtime::os::read_cgroup_limits().memory_limit;
    limited_by_group_ = group != runtime::kNoMemoryLimit;
    if (limited_by_group_) limit = group / 10 * 9;
  }
  auto pacer = std::make_unique<Pacer>(options().gc_percent, limit, runtime::os::now_ns());
  auto limiter = std::make_unique<CpuLimiter>(processors_);
  if (pacer_ == nullptr) pacer_ = pacer.release();
  if (limiter_ == nullptr) limiter_ = limiter.release();
  accounted_until_ns_ = runtime::os::now_ns();
  const std::lock_guard guard(lock_);
  overhead_.swept(heap_bytes_locked());
  update_goal_locked();
}

HeapBytes Pacing::heap_bytes_locked() const noexcept {
  HeapBytes heap;
  heap.limit = pacer_->memory_limit();
  heap.tables = table_bytes() + outside_;
  heap.in_use = static_cast<int64_t>(runtime::g_spans.pages().bytes_in_use());
  heap.live = std::max<int64_t>(
      0, heap_live_.load(std::memory_order_relaxed) - external_.load(std::memory_order_relaxed));
  heap.marked = marked_;
  return heap;
}

void Pacing::update_goal_locked() noexcept {
  const HeapBytes heap = heap_bytes_locked();
  pacer_->update_goal(overhead_.bytes(heap), overhead_.filled(heap));
  publish_locked();

  const int64_t external = std::max<int64_t>(0, external_.load(std::memory_order_relaxed));
  const bool limited = heap.limit != runtime::kNoMemoryLimit;
  const int64_t resident_limit =
      limited ? std::max<int64_t>(0, heap.limit - heap.tables - external) : INT64_MAX;
  runtime::g_spans.pages().set_resident_limit(static_cast<size_t>(resident_limit));
  const int64_t goal = std::min(std::max<int64_t>(0, pacer_->goal() - external), 2 * heap.live);
  const bool limits = pacer_->limited_by_memory();
  resident_goal_.store(limits ? resident_limit / 20 * 19 : goal + goal / 10,
                       std::memory_order_relaxed);
  limited_.store(limits, std::memory_order_relaxed);
}

void Pacing::publish_locked() noexcept {
  trigger_.store(pacer_->trigger(), std::memory_order_relaxed);
  goal_.store(pacer_->goal(), std::memory_order_relaxed);
  const int64_t most = pacer_->goal_at_limit();
  hard_line_.store(most == Pacer::kNever ? most : most + most / kBeyondLimitShare,
                   std::memory_order_relaxed);
  queue_limit_.store(std::max(kLeastQueue, pacer_->goal() / kQueueShare),
                     std::memory_order_relaxed);
}

void Pacing::flush(ThreadData& data) noexcept {
  heap_live_.fetch_add(data.uncharged_bytes, std::memory_order_relaxed);
  heap_scan_.fetch_add(data.uncharged_scan_bytes, std::memory_order_relaxed);
  data.uncharged_bytes = 0;
  data.uncharged_scan_bytes = 0;
}

void Pacing::charge(Thread& thread, int64_t bytes, bool scanned) noexcept {
  ThreadData& data = *thread.data;
  data.uncharged_bytes += bytes;
  if (scanned) data.uncharged_scan_bytes += bytes;
  const bool marking = detail::load_word(TRICOLOR_THIS_THREAD.marking);
  if (data.allocates_black) data.newborn_bytes += bytes;
  if (!marking) {
    data.assist_debt = 0;
    // [pacing.charge]
    if (data.uncharged_bytes < kChargeStep) return;
    flush(data);
    if (!has_room_for_dead()) wait_for_the_dead(thread);
    if (!due() && !g_collector.needs_runner()) return;
    g_collector.trigger(thread);
    wait_if_outrun(thread);
    wait_at_limit(thread);
    return;
  }
  flush(data);
  wait_at_limit(thread);
  if (!has_room_for_dead()) wait_for_the_dead(thread);
  data.assist_debt += static_cast<int64_t>(
      std::min(1e15, static_cast<double>(bytes) * work_per_byte_.load(std::memory_order_relaxed)));
  if (data.assist_debt <= 0) {
    // While a cycle enters or leaves there is nothing to owe; a handshake may be what it waits for.
    if (g_cycle.phase.load(std::memory_order_relaxed) != Phase::kMark) wait_if_outrun(thread);
    return;
  }
  data.assist_debt -= g_workers.take_credit(data.assist_debt);
  if (data.assist_debt > 0 && !limiting_.load(std::memory_order_relaxed)) assist(thread);
}

// [pacing.crowd] Those that wait ran a moment ago, and will again.
double Pacing::threads_per_processor() const noexcept {
  double threads =
      runtime::g_handshake.running_threads() + stalled_.load(std::memory_order_relaxed);
  if (threads == 0) threads = static_cast<double>(runtime::g_threads.count());  // no cycle yet
  return std::max(1.0, threads / std::max(1.0, processors_));
}

// [pacing.outrun] Outside of marking there is no work to give it: the cycle's end is all that helps.
void Pacing::wait_if_outrun(Thread& thread, int64_t told_steps) noexcept {
  // Before the heap's size is read: the end of a cycle changes both, this one last.
  const uint32_t seen = g_worklist.cycle_end_word();
  const int64_t goal = this->goal();
  const int64_t beyond = heap_live() - goal;
  const double crowd = threads_per_processor();
  const bool crowded = crowd > 1;
  const auto allowed = crowded ? static_cast<int64_t>(crowd * processors_) * kCrowdBytes : goal / 8;
  if (beyond <= allowed || g_collector.on_this_thread()) return;
  if (told_steps == 0 && limiting_.load(std::memory_order_relaxed) && !crowded && beyond <= goal)
    return;
  const double share = static_cast<double>(beyond) / static_cast<double>(goal);
  double ns =
      static_cast<double>(kAssistSliceNs) +
      std::min(1.0, share) * static_cast<double>(kOutrunNs * std::max<int64_t>(1, told_steps));
  if (share > 1) ns *= std::exp2(std::min(10.0, 4 * (share - 1)));
  const auto at_most =
      static_cast<int64_t>(std::min(ns * crowd, static_cast<double>(kLongestStallNs)));
  stall(thread, runtime::os::now_ns(), [=] { g_worklist.wait_for_cycle_end(seen, at_most); });
}

void Pacing::assist(Thread& thread) noexcept {
  const uint32_t seen = g_worklist.wake_word();  // before the phase, as above
  if (g_cycle.phase.load(std::memory_order_acquire) != Phase::kMark) {
    wait_if_outrun(thread);
    return;
  }
  ThreadData& data = *thread.data;
  const int64_t start = runtime::os::now_ns();
  if (g_worklist.looks_empty()) {
    // Others hold all the work there is. A thread deep in debt waits a little: its asking makes
    // them share, and the heap does not run away while they finish.
    if (data.assist_debt > kStallDebt) {
      if (threads_per_processor() <= 1)
        stall(thread, start, [=] { g_worklist.wait_stalled(seen, kAssistSliceNs); });
      wait_if_outrun(thread);
    }
    return;
  }
  // By its own clock: where processors are short the time that passes is mostly that of others.
  const int64_t cpu = runtime::os::thread_cpu_ns();
  int64_t now = start;
  int64_t work = 0;
  {
    Marker marker;
    bool done = false;
    // A slice, and no handshake waits for us longer than a step
    while (!done && data.assist_debt > 0 && now - start < kAssistSliceNs && !thread.is_asked()) {
      done = marker.drain(kAssistStepWork);
      const MarkCounts counts = marker.take_counts();
      data.assist_debt -= counts.scan_work;
      work += counts.scan_work;
      g_workers.add(counts, false);
      now = runtime::os::now_ns();
    }
  }
  assist_ns_.fetch_add(runtime::os::thread_cpu_ns() - cpu, std::memory_order_relaxed);
  assist_slices_.fetch_add(1, std::memory_order_relaxed);
  raise_to(assist_longest_ns_, now - start);
  if (runtime::TimeWatch* const watch = runtime::time_watch())
    watch->took(runtime::Timed::kAssist, start, now, work, 0);
}

// [pacing.limit]
void Pacing::wait_at_limit(Thread& thread) noexcept {
  const uint32_t seen = g_worklist.cycle_end_word();  // before the size, as above
  if (heap_live() <= hard_line_.load(std::memory_order_relaxed) || g_collector.on_this_thread())
    return;
  stall(thread, runtime::os::now_ns(), [=] { g_worklist.wait_for_cycle_end(seen, kLimitWaitNs); });
}

// The flag is cleared before the word changes (release), which is read first (acquire).
bool Pacing::wait_for_sweep(Thread& thread) noexcept {
  const uint32_t seen = g_worklist.cycle_end_word();
  if (!sweep_ahead_.load(std::memory_order_relaxed) || g_collector.on_this_thread() ||
      hard_line_.load(std::memory_order_relaxed) == Pacer::kNever) {
    return false;
  }
  stall(thread, runtime::os::now_ns(), [=] { g_worklist.wait_for_cycle_end(seen, kLimitWaitNs); });
  return true;
}

// Counted as a stall from `start` on.
template <class Wait>
void Pacing::stall(Thread& thread, int64_t start, Wait wait) noexcept {
  const runtime::TimedScope timed(runtime::Timed::kStall);
  stalled_.fetch_add(1, std::memory_order_relaxed);
  {
    const runtime::BlockedWait blocked(&thread);
    wait();
    // [handshake.aside] The collector has answered for it.
    runtime::g_handshake.stand_aside();
  }
  stalled_.fetch_sub(1, std::memory_order_relaxed);
  g_collector.count_stall(runtime::os::now_ns() - start);
}

CyclePlan Pacing::start_cycle(int64_t stack_bytes, int64_t root_bytes, bool forced) noexcept {
  CycleStart start;
  start.now_ns = runtime::os::now_ns();
  start.procs = processors_;
  start.heap_live = heap_live();
  start.heap_scan = heap_scan_.load(std::memory_order_relaxed);
  start.stack_bytes = stack_bytes;
  start.root_bytes = root_bytes;
  start.forced = forced;
  const std::lock_guard guard(lock_);
  sweep_ahead_.store(true, std::memory_order_relaxed);
  cycle_began_ns_ = start.now_ns;
  account_cpu_locked(0, start.now_ns);
  const CyclePlan plan = pacer_->start_cycle(start);
  work_per_byte_.store(plan.assist.work_per_byte, std::memory_order_relaxed);
  publish_locked();
  return plan;
}

void Pacing::revise() noexcept {
  const std::lock_guard guard(lock_);
  if (const int64_t now = runtime::os::now_ns(); now - accounted_until_ns_ >= kAccountNs) {
    // The workers say what they took when they are done.
    const auto by_right = static_cast<int64_t>(static_cast<double>(now - cycle_began_ns_) *
                                               processors_ * Pacer::kBackgroundUtilization);
    account_cpu_locked(by_right + assist_ns(), now);
  }
  const AssistRatio ratio = pacer_->revise(heap_live(), heap_scan_.load(std::memory_order_relaxed),
                                           g_workers.totals().counts.scan_work);
  work_per_byte_.store(ratio.work_per_byte, std::memory_order_relaxed);
}

void Pacing::end_cycle(const CycleEnd& end) noexcept {
  const std::lock_guard guard(lock_);
  ended_external_ = std::max<int64_t>(0, external_.load(std::memory_order_relaxed));
  live_external_ = std::min(live_external_, ended_external_);
  dead_external_.store(ended_external_ - live_external_, std::memory_order_relaxed);
  released_external_.store(0, std::memory_order_relaxed);
  external_open_.store(ended_external_ != 0, std::memory_order_relaxed);
  heap_live_.store(end.heap_marked + ended_external_, std::memory_order_relaxed);
  heap_scan_.store(end.heap_scan_marked, std::memory_order_relaxed);
  marked_ = end.heap_marked;
  pacer_->end_cycle(end);
  if (live_external_ != 0) pacer_->correct_heap_marked(marked_ + live_external_);
  // With the overhead of the last sweep: what is in use now is mostly garbage, until it is swept.
  pacer_->update_goal(overhead_.when_swept());
  publish_locked();
}

void Pacing::end_sweep() noexcept {
  if (g_dead_cells.empty()) dead_are_destroyed();
  look_outside();
  const std::lock_guard guard(lock_);
  overhead_.swept(heap_bytes_locked());
  update_goal_locked();
}

// What cannot be taken away from the process, and is not the heap's: [pacing.limit]
void Pacing::look_outside() noexcept {
  if (!limited_by_group_ || TRICOLOR_TSAN || TRICOLOR_ASAN) return;
  const int64_t anonymous = runtime::os::anonymous_bytes();
  const std::lock_guard guard(lock_);
  const runtime::PageHeap& pages = runtime::g_spans.pages();
  const auto heap = static_cast<int64_t>(pages.bytes_in_use() + pages.bytes_free() -
                                         runtime::g_spans.returned_bytes());
  const int64_t outside = anonymous - heap - table_bytes() - told_external();
  // Falls slowly: what the heap has not touched yet hides as much.
  outside_ = std::max<int64_t>({0, outside, outside_ - outside_ / 8});
}

void Pacing::update_goal() noexcept {
  const std::lock_guard guard(lock_);
  update_goal_locked();
}

// [overhead.cells]
bool Pacing::due_now() noexcept {
  if (limited_.load(std::memory_order_relaxed)) update_goal();
  return due();
}

bool Pacing::periodic_due() noexcept {
  const std::lock_guard guard(lock_);
  return pacer_->periodic_due(runtime::os::now_ns());
}

Pacing::AssistTotals Pacing::take_assists() noexcept {
  AssistTotals totals;
  totals.ns = assist_ns_.exchange(0, std::memory_order_relaxed);
  totals.slices = assist_slices_.exchange(0, std::memory_order_relaxed);
  totals.longest_ns = assist_longest_ns_.exchange(0, std::memory_order_relaxed);
  return totals;
}

int Pacing::set_gc_percent(int percent) noexcept {
  const std::lock_guard guard(lock_);
  const int previous = static_cast<int>(pacer_->gc_percent());
  pacer_->set_gc_percent(percent < 0 ? runtime::kGcPercentOff : percent);
  update_goal_locked();
  return previous;
}

int64_t Pacing::set_memory_limit(int64_t bytes) noexcept {
  const std::lock_guard guard(lock_);
  const int64_t previous = pacer_->memory_limit();
  if (bytes < 0) return previous;
  const HeapBytes before = heap_bytes_locked();
  pacer_->set_memory_limit(bytes);
  HeapBytes heap = before;
  heap.limit = pacer_->memory_limit();
  overhead_.limit_changed(before, heap);
  update_goal_locked();
  return previous;
}

void Pacing::account_cycle(int64_t collector_ns, int64_t now_ns) noexcept {
  const std::lock_guard guard(lock_);
  account_cpu_locked(collector_ns, now_ns);
  accounted_cpu_ns_ = 0;
}

// `collector_ns`: what the present cycle has taken so far.
void Pacing::account_cpu_locked(int64_t collector_ns, int64_t now_ns) noexcept {
  constexpr double kMost = 1e18;
  const double total =
      std::min(kMost, static_cast<double>(now_ns - accounted_until_ns_) * processors_);
  limiter_->add(collector_ns - accounted_cpu_ns_, static_cast<int64_t>(total));
  accounted_until_ns_ = now_ns;
  accounted_cpu_ns_ = std::max(accounted_cpu_ns_, collector_ns);
  limiting_.store(limiter_->limiting(), std::memory_order_relaxed);
}

}  // namespace tricolor::gc

namespace tricolor::runtime {

bool wait_for_sweep() noexcept { return gc::g_pacing.wait_for_sweep(*Thread::current()); }

void charge_allocation(Thread& thread, size_t bytes, Kind kind) noexcept {
  gc::g_pacing.charge(thread, static_cast<int64_t>(bytes), !gc::detail::is_leaf_kind(kind));
  gc::g_collector.stress(thread);
}

}  // namespace tricolor::runtime
