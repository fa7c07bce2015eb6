// Pacer: when a cycle starts, how large the heap may grow meanwhile, and how much marking an
// allocation has to pay for, so that marking ends as the heap reaches its goal.
//
//   heap_minimum = 4 MiB x GOGC/100
//   goal_gogc    = max(heap_minimum, marked + (marked + stacks + roots) x GOGC/100)
//   goal_limit   = memory limit - overhead - 1 MiB, never below marked
//   goal         = min(goal_gogc, goal_limit); with GOGC off goal_limit alone
//   runway       = cons_mark x 0.75/0.25 x (last heap scan + last stack scan + roots)
//   trigger      = goal - runway, at least marked + 70% of (goal - marked) and at most the larger
//                  of marked + 95% of it and goal - 4 MiB
//   Where the heap could stay within the limit, assists aim for goal_limit at the latest.
//   Under the limit marked + filled stands for marked in the trigger: see update_goal().
//
// cons_mark is the program's allocation per CPU time over the collector's scanning per CPU time:
// the largest of the last five cycles that were not forced. With the runway computed from it
// background marking at 25% of the processors just suffices, and assists are left for what the
// estimate missed. Algorithm: the pacer of Go 1.19 and later (Knyszek, proposal 44167 and 48409);
// what these formulas leave open follows it.
//
// [pacer.order]   marked by the last cycle <= trigger <= goal.
// [pacer.finite]  no input, however large or negative, overflows or yields a NaN.
// Pure arithmetic: no clock, no atomics, no threads. One caller at a time; who reads goal and
// trigger from other threads publishes copies. Amounts are bytes, times nanoseconds.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "runtime/trace_log.h"

namespace tricolor::gc {

// What one allocated byte owes in scan work while marking runs, and the inverse. Both above 0.
struct AssistRatio {
  double work_per_byte = 0;
  double bytes_per_work = 0;
};

// The state of the heap when a cycle starts.
struct CycleStart {
  int64_t now_ns = 0;
  double procs = 1;         // processors the process may use; a CPU quota makes it a fraction
  int64_t heap_live = 0;    // marked by the last cycle and allocated since
  int64_t heap_scan = 0;    // the part of heap_live in kinds that are scanned
  int64_t stack_bytes = 0;  // of all threads: the most their scan can find
  int64_t root_bytes = 0;
  bool forced = false;  // asked for by a call or a signal, not by the trigger
};

// Who marks. dedicated_workers run all the time; where they are not 25% of the processors, each of
// the other processors gives fractional_utilization of its time, as one worker that takes
// fractional_utilization x (procs - dedicated_workers) processors in all, or as several.
struct CyclePlan {
  int dedicated_workers = 0;
  double fractional_utilization = 0;  // 0: no fractional worker
  double background_processors = 0;   // both together, in processors
  AssistRatio assist;
};

// What a cycle turned out to be.
struct CycleEnd {
  int64_t now_ns = 0;            // end of marking
  int64_t heap_live = 0;         // at the end of marking, the dead included
  int64_t heap_marked = 0;       // what lives on, objects allocated during the cycle included
  int64_t heap_scan_marked = 0;  // the scanned part of it, objects allocated during the cycle not
  int64_t stack_scanned = 0;     // once, however often the stacks were scanned
  int64_t roots_scanned = 0;
  int64_t scan_work = 0;      // all scanning done, what was scanned again included
  int64_t assist_ns = 0;      // CPU time of assists,
  int64_t background_ns = 0;  // of dedicated and fractional workers (0: unknown, 25% assumed),
  int64_t idle_ns = 0;        // and of workers at idle priority
};

class Pacer {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  static constexpr int64_t kHeapMinimum = int64_t{4} << 20;  // at GOGC=100
  static constexpr int64_t kLimitHeadroom = int64_t{1} << 20;
  static constexpr int64_t kMinRunway = int64_t{64} << 10;  // from a cycle's start to its goal
  static constexpr double kBackgroundUtilization = 0.25;
  static constexpr int64_t kForcePeriodNs = 120'000'000'000;

  // gc_percent: negative is off. memory_limit: INT64_MAX is none, negative counts as 0. now_ns:
  // what periodic_due counts from until a cycle has ended.
  Pacer(int64_t gc_percent, int64_t memory_limit, int64_t now_ns);

  void set_gc_percent(int64_t gc_percent);
  void set_memory_limit(int64_t memory_limit);
  int64_t gc_percent() const { return gc_percent_; }
  int64_t memory_limit() const { return memory_limit_; }

  // Recomputes goal and trigger. overhead: memory the limit covers beside the live heap, that is
  // memory held outside the heap and what the heap's spans hold beyond live objects, less what the
  // caller allows beyond the limit. Before the sweep that is mostly garbage, so where a limit is
  // set this is called again after it, and whenever the figure may have moved. filled: how far it
  // has fallen since the sweep, because new objects lie in what it counted; the way from the marked
  // heap to the goal is that much longer, but no part of it is left for the cycle's run.
  void update_goal(int64_t overhead, int64_t filled = 0);

  // What the last cycle found live is known better by now.
  void correct_heap_marked(int64_t bytes);

  // kNever where nothing but a call starts a cycle.
  int64_t goal() const { return goal_; }
  // Heap size at which a cycle is due.
  int64_t trigger() const { return trigger_; }
  bool limited_by_memory() const { return limited_by_memory_; }
  // How large the heap may be under the memory limit; kNever without one, and where what the last
  // cycle found live is more.
  int64_t goal_at_limit() const;
  // No cycle for two minutes. Never with GOGC off.
  bool periodic_due(int64_t now_ns) const;

  CyclePlan start_cycle(const CycleStart& start);

  // The ratio for the present state of a running cycle; scan_work_done counts heap, stacks, roots.
  AssistRatio revise(int64_t heap_live, int64_t heap_scan, int64_t scan_work_done) const;

  // Takes the measurements in and computes the next goal and trigger with the last overhead.
  void end_cycle(const CycleEnd& end);

  double cons_mark() const { return cons_mark_; }
  int64_t runway() const;
  // Scan work a cycle starting now is expected to need.
  int64_t expected_work() const;
  // Share of the processors the last cycle used, background and assists.
  double utilization() const { return end_trace_.utilization; }

  // The lines of gcpacertrace: valid after start_cycle and after end_cycle.
  const runtime::PacerStartTrace& start_trace() const { return start_trace_; }
  const runtime::PacerEndTrace& end_trace() const { return end_trace_; }

 private:
  // Beside this cycle's.
  static constexpr int kRememberedCycles = 4;

  int64_t goal_by_percent() const;
  int64_t goal_by_limit() const;
  void commit();
  void learn_cons_mark(const CycleEnd& end, double utilization, double idle_utilization);

  int64_t gc_percent_;
  int64_t memory_limit_;
  int64_t overhead_ = 0;
  int64_t filled_ = 0;

  // Of the last finished cycle.
  int64_t heap_marked_ = 0;
  int64_t heap_scan_ = 0;
  int64_t stack_scan_ = 0;
  int64_t root_scan_ = 0;
  int64_t ended_ns_;

  // As last heard of: what the running or the next cycle will have to scan.
  int64_t root_bytes_ = 0;

  bool in_cycle_ = false;
  bool forced_ = false;
  int64_t started_ns_ = 0;
  int64_t started_at_ = 0;  // heap_live at the start
  int64_t max_stack_scan_ = 0;
  double procs_ = 1;

  double cons_mark_ = 0;
  std::array<double, kRememberedCycles> past_cons_mark_{};  // oldest first

  int64_t goal_ = kNever;
  int64_t trigger_ = kNever;
  bool limited_by_memory_ = false;

  runtime::PacerStartTrace start_trace_;
  runtime::PacerEndTrace end_trace_;
};

}  // namespace tricolor::gc
