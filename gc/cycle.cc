// One cycle, step by step; see gc/phase.h for the phases and ARCHITECTURE.md for why each step may
// be taken.

#include <algorithm>
#include <mutex>

#include "gc/barrier.h"
#include "gc/check_references.h"
#include "gc/collector.h"
#include "gc/ephemerons.h"
#include "gc/finalizer_thread.h"
#include "gc/held.h"
#include "gc/observers.h"
#include "gc/open_roots.h"
#include "gc/options.h"
#include "gc/pacing.h"
#include "gc/phase.h"
#include "gc/roots.h"
#include "gc/specials.h"
#include "gc/stacks.h"
#include "gc/sweep.h"
#include "gc/verify.h"
#include "gc/workers.h"
#include "gc/worklist.h"
#include "runtime/base/check.h"
#include "runtime/handshake.h"
#include "runtime/heap/allocate.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/time_watch.h"

namespace tricolor::gc {

using runtime::g_handshake;
using runtime::g_threads;
using runtime::StackView;
using runtime::Thread;
using runtime::Timed;
using runtime::TimedScope;
namespace os = runtime::os;

namespace {

constexpr int64_t kCollectorShare =
    512 << 10;  // scan work that is done before workers are worth waking
constexpr int64_t kMarkSliceWork = 256 << 10;
constexpr int64_t kMarkWaitNs = 500'000;
// [open.some]
constexpr int kMostStops = 4;
constexpr int64_t kStopSliceWork = 64 << 10;
constexpr int64_t kStopDrainNs = 300'000;

// H1: the barrier is on.
void switch_barrier_on(Thread& thread, StackView) noexcept {
  thread.data->marked_bytes = 0;
  thread.data->newborn_bytes = 0;
  thread.data->assist_debt = 0;
  detail::store_word(thread.local->marking, true);
}

// H2: from here on the thread allocates black ([alloc.black]); its stack is scanned a first time.
void go_black(Thread& thread, StackView stack) noexcept {
  ThreadData& data = *thread.data;
  data.black_generation = g_cycle.sweep_generation.load(std::memory_order_relaxed);
  data.allocates_black = true;
  runtime::mark_unused_cells(thread);
  scan_thread_stack(thread, stack);
  flush_buffer(data);
}

// H3: what the stack holds by now, and what the barrier has gathered.
void report(Thread& thread, StackView stack) noexcept {
  scan_thread_stack(thread, stack);
  flush_buffer(*thread.data);
}

// H4: the barrier is off. The buffer is empty: everything reachable was marked before.
void switch_barrier_off(Thread& thread, StackView) noexcept {
  ThreadData& data = *thread.data;
  flush_buffer(data);
  g_collector.add_marked(data);
  data.assist_debt = 0;
  detail::store_word(thread.local->marking, false);
}

// Changes what newly attached threads start with.
template <class Change>
void with_threads_locked(Change change) noexcept {
  runtime::lock_threads(Thread::current());
  change();
  g_threads.lock().unlock();
}

}  // namespace

void Collector::note_handshakes() noexcept {
  const runtime::Handshake::Times times = g_handshake.take_times();
  time_.longest_handshake = std::max(time_.longest_handshake, times.longest_ns);
  time_.handshakes += times.answers;
  // [handshake.aside] A thread that stands aside waits for the collector like any other stall.
  stalls_.fetch_add(times.asides, std::memory_order_relaxed);
  if (times.longest_aside_ns > longest_stall_ns_.load(std::memory_order_relaxed))
    longest_stall_ns_.store(times.longest_aside_ns, std::memory_order_relaxed);
}

void Collector::run_cycle(bool forced) {
  forced_ = forced;
  time_ = {};
  time_.start = os::now_ns();
  time_.start_cpu = os::thread_cpu_ns();
  {
    const TimedScope timed(Timed::kPrepare);
    g_sweeper.sweep_all();  // [sweep.finished] [collector.order]
    hooks_.run(all_hooks_);
  }
  time_.hooks = os::now_ns() - time_.start;
  stops_ = 0;
  if (OpenRoots* const open = open_roots()) open->begin_cycle();
  if (runtime::g_allocation_watch != nullptr) runtime::g_allocation_watch->cycle_begins();
  enter();
  mark();
  clear();
  if (runtime::g_allocation_watch != nullptr) runtime::g_allocation_watch->cycle_marked();
  leave();
  finish_cycle(forced);
}

void Collector::enter() {
  const TimedScope timed(Timed::kEnter);
  tell_heap();
  heap_at_start_ = g_pacing.heap_live();
  g_workers.reset();
  threads_marked_.store(0, std::memory_order_relaxed);
  g_cycle.phase.store(Phase::kEnter, std::memory_order_release);
  runtime::g_spans.allow_returns(false);
  {
    const std::lock_guard guard(specials().gate_lock());
    specials().set_gate_open(true);
  }
  with_threads_locked([] { g_cycle.barriers_on = true; });
  {
    TimedScope handshake(Timed::kBarrierOn);
    g_handshake.run(switch_barrier_on, runtime::Handshake::Afterwards::keep_aside);
    handshake.set(g_handshake.sequence());
  }
  with_threads_locked([] { g_cycle.allocate_black = true; });
  {
    TimedScope handshake(Timed::kGoBlack);
    g_handshake.run(go_black);
    handshake.set(g_handshake.sequence());
  }
  time_.marking = os::now_ns();
  time_.enter_cpu = os::thread_cpu_ns() - time_.start_cpu;
  note_handshakes();
}

// Visits what is reachable by being a root, and the objects whose contents are; gives the bytes of
// root slots.
template <class Visit, class VisitContents>
static int64_t visit_roots(Visit visit, VisitContents visit_contents) {
  const size_t bytes = g_roots.for_each_target(visit);
  finalizer_thread().for_each_root(visit);
  if (!specials().empty()) specials().for_each_finalizable(visit_contents);
  return static_cast<int64_t>(bytes);
}

void Collector::mark_roots(Marker& marker) {
  root_bytes_ = visit_roots([&](void* target) { marker.add_edge(target); },
                            [&](char* object) { marker.add_contents(object); });
}

void Collector::help_mark(Marker& marker, int64_t work) {
  marker.drain(work);
  g_workers.add(marker.take_counts(), true);
}

void Collector::mark() {
  const TimedScope timed(Timed::kMark);
  g_cycle.phase.store(Phase::kMark, std::memory_order_release);
  g_worklist.open();
  const int64_t cpu = os::thread_cpu_ns();
  g_pacing.start_cycle(stack_bytes_, root_bytes_, forced_);
  cycle_goal_ = g_pacing.goal();
  {
    const TimedScope marking(Timed::kMarking);
    Marker marker;
    mark_roots(marker);
    if (OpenRoots* const open = open_roots()) open->queue_first_scan();
    help_mark(marker, kCollectorShare);
  }
  if (options().gcpacertrace) {
    const std::lock_guard guard(g_pacing.lock());
    runtime::write_line(runtime::format_pacer_start(g_pacing.pacer().start_trace()));
  }
  for (;;) {
    const uint32_t seen = g_worklist.wake_word();
    // Noted before the queue is seen empty: whatever arrives afterwards spoils the round.
    const uint64_t arrivals = g_worklist.arrivals();
    const bool helps = forced_ || g_workers.running() == 0;
    if (helps) {
      // Whoever asked is waiting: its processor is ours. Or there is nobody else to do it.
      const TimedScope marking(Timed::kMarking);
      Marker marker;
      help_mark(marker, kMarkSliceWork);
    }
    g_pacing.revise();
    if (!g_worklist.quiescent()) {
      if (!helps || g_worklist.looks_empty()) {
        const runtime::BlockedWait wait(self());
        g_worklist.wait_for_arrival(seen, kMarkWaitNs);
      }
      continue;
    }
    if (g_worklist.take_overflowed()) {
      Marker marker;
      mark_roots_at_once(marker);
      if (OpenRoots* const open = open_roots()) mark_open_roots_at_once(*open, marker, false);
      rescan_marked_objects(marker);
      continue;
    }
    {
      Marker marker;
      if (ephemerons().mark_reached(marker)) {
        help_mark(marker, INT64_MAX);
        continue;
      }
    }
    if (terminate(arrivals) && !revive_in_cycles()) break;
  }
  g_workers.add_cpu(os::thread_cpu_ns() - cpu);
}

// A termination round: H3, and the look at everything afterwards that makes its answers count. True
// if the round was clean; the weak gate is then closed.
bool Collector::terminate(uint64_t arrivals) {
  TimedScope timed(Timed::kTerminate);
  time_.terminating = os::now_ns();
  time_.terminating_cpu = os::thread_cpu_ns();
  OpenRoots* const open = open_roots();
  const bool stopped = open != nullptr || any_fiber_stacks();
  bool clean = true;
  int64_t stop_began = 0;
  if (stopped) {
    prepare_fiber_stacks();
    if (open != nullptr && !open->prepare_stop()) return false;
    stop_began = os::now_ns();
    if (!g_handshake.stop(report)) {  // [handshake.vain]
      timed.set(g_handshake.sequence());
      note_handshakes();
      return false;
    }
    scan_fiber_stacks(*self());  // [stacks.fibers]
    flush_buffer(*self()->data);
    if (open != nullptr) {
      clean = drain_in_stop(*open);
      arrivals = g_worklist.arrivals();  // it has been worked on while nothing could move
    }
  } else {
    g_handshake.run(report, runtime::Handshake::Afterwards::keep_aside);
    // [open.late] [stacks.fibers] Opened before the last answer.
    clean = open_roots() == nullptr && !any_fiber_stacks();
  }
  {
    const std::lock_guard gate(specials().gate_lock());
    if (!stopped) runtime::lock_threads(nullptr);
    stack_bytes_ = 0;
    for (Thread* t = g_threads.first(); t != nullptr; t = t->next) {
      clean = clean && t->data->buffered.load(std::memory_order_acquire) == 0;
      stack_bytes_ += t->data->scanned_stack_bytes;
    }
    if (!stopped) g_threads.lock().unlock();
    // Buffers first, then the queue: what leaves a buffer arrives before the buffer is emptied.
    clean = clean && g_worklist.quiescent() && g_worklist.arrivals() == arrivals;
    clean = clean && !ephemerons().unfinished();  // [ephemeron.closed]
    if (clean) {
      specials().set_gate_open(false);
      g_cycle.phase.store(Phase::kClear, std::memory_order_release);
    }
  }
  timed.set(g_handshake.sequence(), clean ? 1 : 0);
  if (stopped) {
    g_handshake.resume();
    const int64_t now = os::now_ns();
    time_.longest_stop = std::max(time_.longest_stop, now - stop_began);
    if (runtime::TimeWatch* const watch = runtime::time_watch())
      watch->took(Timed::kStop, stop_began, now, 0, 0);
  }
  if (!clean) g_handshake.let_go();
  note_handshakes();
  return clean;
}

// [specials.in_cycles] After a clean round: true if marking has to go on.
bool Collector::revive_in_cycles() {
  TaskList revived;
  if (specials().empty() || !specials().take_in_cycles(revived)) return false;
  {
    const std::lock_guard gate(specials().gate_lock());
    specials().set_gate_open(true);
    g_cycle.phase.store(Phase::kMark, std::memory_order_release);
  }
  finalizer_thread().queue(revived);
  g_handshake.let_go();
  Marker marker;
  finalizer_thread().for_each_root([&](void* target) { marker.add_edge(target); });
  help_mark(marker, kMarkSliceWork);
  return true;
}

// [open.stop] Reads what has to be read while all threads stand and marks what that leads to. False: it was more than
// a stop has time for, or has to be done again.
bool Collector::drain_in_stop(OpenRoots& open) {
  const bool last = ++stops_ >= kMostStops;  // [open.some]
  if (!open.queue_stop()) return false;
  for (int64_t deadline = 0;;) {
    const uint32_t seen = g_worklist.wake_word();
    {
      Marker marker;
      help_mark(marker, kStopSliceWork);
    }
    if (g_worklist.quiescent()) {
      if (!g_worklist.take_overflowed()) break;
      Marker marker;
      mark_roots_at_once(marker);
      mark_open_roots_at_once(open, marker, true);
      rescan_marked_objects(marker);
      continue;
    }
    if (open.items_left() == 0) {
      const int64_t now = os::now_ns();
      if (deadline == 0) deadline = now + kStopDrainNs;
      if (!last && now > deadline) return false;
    }
    if (g_worklist.looks_empty()) g_worklist.wait_for_arrival(seen, kMarkWaitNs);
  }
  if (options().gccheckmark) verify_open_roots(open);
  return true;
}

// [worklist.overflow]
void Collector::mark_open_roots_at_once(OpenRoots& open, Marker& marker, bool standing) {
  struct Both {
    Collector* collector;
    Marker* marker;
  } both{this, &marker};
  open.visit_all(
      [](void* context, const char* from, size_t bytes) noexcept {
        const Both& by = *static_cast<Both*>(context);
        for (size_t at = 0; at < bytes; at += detail::kMaxSmallSize) {
          by.marker->scan_memory(from + at, std::min(detail::kMaxSmallSize, bytes - at));
          by.collector->help_mark(*by.marker, INT64_MAX);
        }
      },
      &both, standing);
}

// What the object refers to, marked by steps that leave the marker's stack room: a spill could drop
// what is not marked yet, in every walk anew.
void Collector::mark_contents_at_once(Marker& marker, runtime::Cell cell) {
  if (detail::is_leaf_kind(cell.span->kind)) return;
  const char* const object = runtime::g_heap.cell_address(cell);
  const size_t size = cell.span->cell_size;
  for (size_t at = 0; at < size; at += detail::kMaxSmallSize) {
    marker.scan_part(cell, object + at, std::min(detail::kMaxSmallSize, size - at));
    help_mark(marker, INT64_MAX);
  }
}

// [worklist.overflow] Roots may have been dropped, too, which no marked object leads to.
void Collector::mark_roots_at_once(Marker& marker) {
  visit_roots(
      [&](void* target) {
        marker.add_edge(target);
        help_mark(marker, INT64_MAX);
      },
      [&](char* object) { mark_contents_at_once(marker, runtime::g_heap.find(object)); });
}

// [worklist.overflow] Some marked objects may never have been scanned: scans every one.
void Collector::rescan_marked_objects(Marker& marker) {
  uint32_t page = 0;
  while (runtime::Span* const span = runtime::g_spans.next(page)) {
    for (uint32_t i = 0; i < span->cells; ++i) {
      const runtime::Cell cell{span, i};
      if (runtime::g_heap.is_marked(cell)) mark_contents_at_once(marker, cell);
    }
  }
}

void Collector::clear() {
  const TimedScope timed(Timed::kClear);
  g_worklist.close();
  heap_at_end_ = g_pacing.heap_live();
  tell_heap();
  ephemerons().clear_dead();  // [ephemeron.dead]
  if (!specials().empty()) specials().process_dead();
  verify_marks(forced_);
  if (forced_) report_raw_references(*self());
  if (g_held.wanted()) g_held.take(*self());
}

void Collector::leave() {
  TimedScope timed(Timed::kLeave);
  g_cycle.phase.store(Phase::kLeave, std::memory_order_release);
  with_threads_locked([] { g_cycle.barriers_on = false; });
  g_handshake.run(switch_barrier_off);
  timed.set(g_handshake.sequence());
  time_.end = os::now_ns();
  time_.terminate_cpu = os::thread_cpu_ns() - time_.terminating_cpu;
  note_handshakes();
}

}  // namespace tricolor::gc
