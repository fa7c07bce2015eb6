#include "gc/pacer.h"

#include <algorithm>
#include <cmath>

namespace tricolor::gc {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMinTriggerPercent = 70;
constexpr int64_t kMaxTriggerPercent = 95;
constexpr int64_t kMinWorkLeft = 1000;
constexpr double kMaxOvershoot = 1.1;
constexpr double kMaxUtilizationError = 0.3;
constexpr double kMaxProcessors = 1e6;
// What GOGC=off counts as where a forced cycle needs a percentage.
constexpr int64_t kPercentWhenOff = 100'000;

int64_t not_negative(int64_t value) { return std::max<int64_t>(value, 0); }

// a + b for amounts, stopping at kMax: [pacer.finite].
int64_t add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? kMax : sum;
}

// percent of an amount, truncated, stopping at kMax.
int64_t percent_of(int64_t amount, int64_t percent) {
  int64_t whole;
  int64_t rest;
  if (__builtin_mul_overflow(amount / 100, percent, &whole)) return kMax;
  if (__builtin_mul_overflow(amount % 100, percent, &rest)) return kMax;
  return add(whole, rest / 100);
}

int64_t to_bytes(double amount) {
  if (!(amount > 0)) return 0;
  return amount >= static_cast<double>(kMax) ? kMax : static_cast<int64_t>(amount);
}

double sane_processors(double procs) {
  return procs > 0 ? std::clamp(procs, 0.001, kMaxProcessors) : 1;
}

// Rounds 25% of the processors to whole workers, and where that is more than 30% off makes up the
// rest with fractions: up to three processors and for six.
CyclePlan plan_workers(double procs) {
  const double wanted = procs * Pacer::kBackgroundUtilization;
  int dedicated = static_cast<int>(std::lround(wanted));
  double fractional = 0;
  if (std::fabs(dedicated / wanted - 1) > kMaxUtilizationError) {
    if (dedicated > wanted) --dedicated;
    fractional = (wanted - dedicated) / procs;
  }
  CyclePlan plan;
  plan.dedicated_workers = dedicated;
  plan.fractional_utilization = fractional;
  plan.background_processors = dedicated + fractional * procs;
  return plan;
}

}  // namespace

Pacer::Pacer(int64_t gc_percent, int64_t memory_limit, int64_t now_ns)
    : gc_percent_(gc_percent), memory_limit_(not_negative(memory_limit)), ended_ns_(now_ns) {
  commit();
}

void Pacer::set_gc_percent(int64_t gc_percent) {
  gc_percent_ = gc_percent;
  commit();
}

void Pacer::set_memory_limit(int64_t memory_limit) {
  memory_limit_ = not_negative(memory_limit);
  commit();
}

void Pacer::update_goal(int64_t overhead, int64_t filled) {
  overhead_ = not_negative(overhead);
  filled_ = not_negative(filled);
  commit();
}

void Pacer::correct_heap_marked(int64_t bytes) {
  heap_marked_ = not_negative(bytes);
  commit();
}

int64_t Pacer::goal_by_percent() const {
  if (gc_percent_ < 0) return kNever;
  const int64_t traced = add(add(heap_marked_, stack_scan_), root_scan_);
  const int64_t grown = add(heap_marked_, percent_of(traced, gc_percent_));
  return std::max(grown, percent_of(kHeapMinimum, gc_percent_));
}

int64_t Pacer::goal_by_limit() const {
  if (memory_limit_ == kNever) return kNever;
  // Both terms are amounts, so the difference cannot overflow.
  return std::max(memory_limit_ - add(overhead_, kLimitHeadroom), heap_marked_);
}

int64_t Pacer::goal_at_limit() const {
  const int64_t limited = goal_by_limit();
  return limited > heap_marked_ ? limited : kNever;
}

int64_t Pacer::expected_work() const { return add(add(heap_scan_, stack_scan_), root_bytes_); }

int64_t Pacer::runway() const {
  constexpr double kProgramPerGc = (1 - kBackgroundUtilization) / kBackgroundUtilization;
  return to_bytes(cons_mark_ * kProgramPerGc * static_cast<double>(expected_work()));
}

void Pacer::commit() {
  goal_ = goal_by_percent();
  const int64_t limited = goal_by_limit();
  limited_by_memory_ = limited < goal_;
  if (limited_by_memory_) {
    goal_ = limited;
  } else if (in_cycle_) {
    goal_ = std::max(goal_, add(started_at_, kMinRunway));
  }
  if (goal_ == kNever) {
    trigger_ = kNever;
    return;
  }
  const int64_t base = limited_by_memory_ ? add(heap_marked_, filled_) : heap_marked_;
  const int64_t distance = not_negative(goal_ - base);
  const int64_t lowest = std::min(add(base, percent_of(distance, kMinTriggerPercent)), goal_);
  const int64_t highest = std::max(
      std::min(add(base, percent_of(distance, kMaxTriggerPercent)), goal_), goal_ - kHeapMinimum);
  // [pacer.order]
  trigger_ = std::clamp(goal_ - std::min(runway(), goal_), lowest, highest);
}

bool Pacer::periodic_due(int64_t now_ns) const {
  return gc_percent_ >= 0 && !in_cycle_ && now_ns >= add(ended_ns_, kForcePeriodNs);
}

CyclePlan Pacer::start_cycle(const CycleStart& start) {
  in_cycle_ = true;
  forced_ = start.forced;
  started_ns_ = start.now_ns;
  started_at_ = not_negative(start.heap_live);
  max_stack_scan_ = not_negative(start.stack_bytes);
  root_bytes_ = not_negative(start.root_bytes);
  procs_ = sane_processors(start.procs);
  commit();

  CyclePlan plan = plan_workers(procs_);
  plan.assist = revise(start.heap_live, start.heap_scan, 0);
  start_trace_.assist_work_per_byte = plan.assist.work_per_byte;
  start_trace_.heap_scan = not_negative(start.heap_scan);
  start_trace_.heap_live = started_at_;
  start_trace_.heap_goal = goal_;
  start_trace_.dedicated_workers = plan.dedicated_workers;
  start_trace_.fractional_utilization = plan.fractional_utilization;
  return plan;
}

AssistRatio Pacer::revise(int64_t heap_live, int64_t heap_scan, int64_t scan_work_done) const {
  const int64_t live = not_negative(heap_live);
  const int64_t done = not_negative(scan_work_done);
  // All that is there could turn out to live.
  const int64_t most = add(add(not_negative(heap_scan), max_stack_scan_), root_bytes_);
  int64_t expected = expected_work();
  int64_t goal = goal_;

  if (done > expected) {
    // The heap is growing. Stretch the runway in proportion to the work, so that assists stay as
    // they are: the next cycle will have a goal as large anyhow. For the same reason one cycle
    // stretches by GOGC at most, and never over the memory limit.
    const int64_t percent = gc_percent_ < 0 ? kPercentWhenOff : gc_percent_;
    const int64_t hard_goal = std::min(add(goal, percent_of(goal, percent)), goal_by_limit());
    const auto planned_work = static_cast<double>(std::max<int64_t>(expected, 1));
    const double stretch = static_cast<double>(most) / planned_work;
    const auto planned = static_cast<double>(not_negative(goal - started_at_));
    const int64_t stretched = add(started_at_, to_bytes(planned * stretch));
    goal = std::max(goal, std::min(stretched, hard_goal));
    expected = most;
  }
  if (live > goal) {
    const int64_t beyond = to_bytes(static_cast<double>(goal) * kMaxOvershoot);
    goal = std::min(beyond, std::max(goal_at_limit(), add(live, kMinRunway)));
    expected = most;
  }
  const auto work = static_cast<double>(std::max(expected - done, kMinWorkLeft));
  const auto room = static_cast<double>(std::max<int64_t>(goal - live, 1));
  return {work / room, room / work};
}

void Pacer::learn_cons_mark(const CycleEnd& end, double utilization, double idle_utilization) {
  // A forced cycle often has its caller waiting for it, and one without allocation or work measures
  // nothing.
  const int64_t work = not_negative(end.scan_work);
  const int64_t allocated = not_negative(end.heap_live) - started_at_;
  if (forced_ || work == 0 || allocated <= 0) return;
  // Bytes allocated per CPU of the program over bytes scanned per CPU of the collector.
  const double gc_share = utilization + idle_utilization;
  const double measured =
      static_cast<double>(allocated) * gc_share / (static_cast<double>(work) * (1 - utilization));
  cons_mark_ =
      std::max(measured, *std::max_element(past_cons_mark_.begin(), past_cons_mark_.end()));
  std::rotate(past_cons_mark_.begin(), past_cons_mark_.begin() + 1, past_cons_mark_.end());
  past_cons_mark_.back() = measured;
}

void Pacer::end_cycle(const CycleEnd& end) {
  constexpr double kMaxUtilization = 0.99;
  const double wall = static_cast<double>(end.now_ns) - static_cast<double>(started_ns_);
  double utilization = kBackgroundUtilization;
  double idle_utilization = 0;
  if (wall > 0) {
    const double cpu = wall * procs_;
    if (end.background_ns > 0) utilization = static_cast<double>(end.background_ns) / cpu;
    utilization += static_cast<double>(not_negative(end.assist_ns)) / cpu;
    idle_utilization = std::min(static_cast<double>(not_negative(end.idle_ns)) / cpu, 1.0);
  }
  utilization = std::min(utilization, kMaxUtilization);

  const int64_t stack_work = not_negative(end.stack_scanned);
  const int64_t root_work = not_negative(end.roots_scanned);
  end_trace_.utilization = utilization;
  end_trace_.expected_utilization = kBackgroundUtilization;
  end_trace_.heap_work = not_negative(not_negative(end.scan_work) - add(stack_work, root_work));
  end_trace_.stack_work = stack_work;
  end_trace_.root_work = root_work;
  end_trace_.expected_work = expected_work();
  end_trace_.heap_at_start = started_at_;
  end_trace_.heap_at_end = not_negative(end.heap_live);
  end_trace_.goal_difference = not_negative(end.heap_live) - goal_;
  end_trace_.cons_mark = cons_mark_;

  learn_cons_mark(end, utilization, idle_utilization);
  heap_marked_ = not_negative(end.heap_marked);
  heap_scan_ = not_negative(end.heap_scan_marked);
  stack_scan_ = stack_work;
  root_scan_ = root_work;
  root_bytes_ = root_work;
  ended_ns_ = end.now_ns;
  in_cycle_ = false;
  filled_ = 0;
  commit();
}

}  // namespace tricolor::gc
