// The end of a cycle: the new sweep generation, the sweep, and the account of what the cycle cost.

#include <algorithm>
#include <mutex>

#include "gc/collector.h"
#include "gc/dead_cells.h"
#include "gc/finalizer_thread.h"
#include "gc/observers.h"
#include "gc/options.h"
#include "gc/outside_watch.h"
#include "gc/pacing.h"
#include "gc/phase.h"
#include "gc/sweep.h"
#include "gc/workers.h"
#include "gc/worklist.h"
#include "runtime/base/check.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/time_watch.h"

namespace tricolor::gc {

using runtime::Thread;
namespace os = runtime::os;

void tell_heap() noexcept {
  if (runtime::TimeWatch* const watch = runtime::time_watch())
    watch->happened(runtime::Timed::kHeap, g_pacing.heap_live(), g_pacing.goal());
}

void Collector::finish_cycle(bool forced) {
  const Workers::Totals totals = g_workers.totals();
  const Pacing::AssistTotals assists = g_pacing.take_assists();
  const int64_t marked =
      totals.counts.marked_bytes + threads_marked_.load(std::memory_order_relaxed);

  // A quarter of the processors is the collector's by right; what workers found idle beyond it
  // counts apart.
  const auto by_right =
      static_cast<int64_t>(static_cast<double>(time_.terminating - time_.marking) *
                           g_pacing.processors() * Pacer::kBackgroundUtilization);
  const int64_t background = std::min(totals.cpu_ns, std::max<int64_t>(by_right, 1));

  OpenRoots::Figures traced;
  if (OpenRoots* const open = open_roots()) traced = open->figures();

  CycleEnd end;
  end.now_ns = time_.end;
  end.heap_live = heap_at_end_;
  end.heap_marked = std::min(marked, heap_at_end_);
  end.heap_scan_marked = totals.counts.marked_scan_bytes;
  end.stack_scanned = stack_bytes_;
  end.roots_scanned = root_bytes_ + traced.bytes_scanned;
  end.scan_work = totals.counts.scan_work + stack_bytes_ + root_bytes_;
  end.assist_ns = assists.ns;
  end.background_ns = background;
  end.idle_ns = totals.cpu_ns - background;
  g_pacing.end_cycle(end);
  g_pacing.account_cycle(background + assists.ns, time_.end);

  // [alloc.black] ends for each thread as it sees the new generation; a thread attached from here on is white.
  runtime::lock_threads(Thread::current());
  g_cycle.allocate_black = false;
  g_sweeper.next_generation();
  runtime::g_threads.lock().unlock();
  g_cycle.phase.store(Phase::kIdle, std::memory_order_release);
  runtime::g_spans.allow_returns(true);
  if (OpenRoots* const open = open_roots()) open->end_cycle();
  g_sweeper.begin();
  g_pacing.sweep_begins();
  g_worklist.wake_stalled();

  const int64_t number = static_cast<int64_t>(history_.cycles) + 1;
  {
    const std::lock_guard guard(history_lock_);
    history_.cycles = static_cast<uint32_t>(number);
    if (forced) ++history_.forced;
    history_.last_end_wall_ns = os::wall_ns();
    history_.pause_total_ns += time_.longest_handshake;
    const size_t slot = (static_cast<size_t>(number) + 255) % 256;
    history_.pause_ns[slot] = static_cast<uint64_t>(time_.longest_handshake);
    history_.pause_end[slot] = static_cast<uint64_t>(history_.last_end_wall_ns);
    history_.collector_cpu_ns += background + assists.ns + time_.enter_cpu + time_.terminate_cpu;
    history_.stack_bytes = stack_bytes_;
  }

  runtime::CycleTrace trace;
  trace.number = number;
  trace.start_ns = time_.start - os::process_start_ns();
  trace.gc_cpu_fraction = cpu_fraction();
  trace.enter_wall_ns = time_.marking - time_.start;
  trace.mark_wall_ns = time_.terminating - time_.marking;
  trace.terminate_wall_ns = time_.end - time_.terminating;
  trace.enter_cpu_ns = time_.enter_cpu;
  trace.assist_cpu_ns = assists.ns;
  trace.background_cpu_ns = background;
  trace.idle_cpu_ns = totals.cpu_ns - background;
  trace.terminate_cpu_ns = time_.terminate_cpu;
  trace.heap_at_start = heap_at_start_;
  trace.heap_at_end = heap_at_end_;
  trace.heap_marked = end.heap_marked;
  trace.heap_goal = cycle_goal_;
  trace.stack_bytes = stack_bytes_;
  trace.root_bytes = root_bytes_ + traced.bytes_scanned;
  trace.processors = std::max<int64_t>(1, static_cast<int64_t>(g_pacing.processors() + 0.5));
  trace.forced = forced;
  trace.handshakes = time_.handshakes;
  trace.max_handshake_ns = time_.longest_handshake;
  trace.stalls = stalls_.exchange(0, std::memory_order_relaxed);
  trace.max_stall_ns = longest_stall_ns_.exchange(0, std::memory_order_relaxed);
  trace.assists = assists.slices;
  trace.max_assist_ns = assists.longest_ns;
  trace.objects_scanned = totals.counts.objects;
  trace.pages_swept = pages_swept_;
  trace.hooks_ns = time_.hooks;
  trace.finalizer_queue = static_cast<int64_t>(finalizer_thread().waiting());
  trace.finalizer_queue_bytes = g_dead_cells.bytes() + g_pacing.dead_external();
  trace.external_bytes = g_pacing.external_bytes();
  trace.open = open_roots() != nullptr;
  trace.traced_bytes = traced.bytes_scanned;
  trace.precleans = traced.precleans;
  trace.dirty_pages = traced.tracks_pages ? traced.dirty_pages : -1;
  trace.stops = stops_;
  trace.longest_stop_ns = time_.longest_stop;
  print_traces(trace);

  {
    runtime::TimedScope timed(runtime::Timed::kSweep);
    pages_swept_ = static_cast<int64_t>(g_sweeper.sweep_all());
    g_pacing.end_sweep();
    timed.set(pages_swept_);
  }
  finalizer_thread().start_if_needed();
  // Before it counts as finished: whoever waits for that may end the watch.
  tell_heap();
  if (runtime::TimeWatch* const watch = runtime::time_watch())
    watch->took(runtime::Timed::kCycle, time_.start, os::now_ns(), number, forced ? 1 : 0);
  {
    const std::lock_guard guard(lock_);
    finished_.store(begun_, std::memory_order_release);
  }
  done_.fetch_add(1, std::memory_order_release);
  runtime::futex::wake(&done_, INT32_MAX);
}

void Collector::print_traces(const runtime::CycleTrace& trace) const {
  if (options().gctrace >= 1) runtime::write_line(runtime::format_gctrace(trace));
  if (options().gctrace >= 2) runtime::write_line(runtime::format_detail(trace));
  g_outside_watch.hint();
  if (options().gcpacertrace) {
    const std::lock_guard guard(g_pacing.lock());
    runtime::write_line(runtime::format_pacer_end(g_pacing.pacer().end_trace()));
  }
}

}  // namespace tricolor::gc
