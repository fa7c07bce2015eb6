// A heap of numbers that drives gc::Pacer through whole cycles: what a program allocates, keeps and
// has on its stacks is given as functions of the cycle, and the simulation plays the program, the
// background markers (always at 25%) and ideal assists, which hold the ratio of scanning to
// allocation at exactly what the pacer last said.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "gc/cpu_limiter.h"
#include "gc/pacer.h"

namespace tricolor::gc::simulation {

inline constexpr int64_t kMiB = int64_t{1} << 20;

using PerCycle = std::function<double(int cycle)>;

inline PerCycle constant(double value) {
  return [value](int) { return value; };
}

// factor in the first cycles, then 1.
inline PerCycle grow_first(double factor, int cycles) {
  return [=](int cycle) { return cycle < cycles ? factor : 1.0; };
}

struct Scenario {
  int64_t gc_percent = 100;
  int64_t memory_limit = Pacer::kNever;
  int64_t overhead = 0;
  double procs = 8;
  int64_t first_survivors = kMiB;
  PerCycle allocation_rate = constant(0.03);  // bytes per ns of the program's CPU
  double scan_rate = 1.0;                     // bytes per ns of the collector's CPU
  PerCycle growth = grow_first(1.5, 12);      // survivors of a cycle over those of the one before
  PerCycle scannable = constant(1.0);         // part of the heap
  PerCycle stack_bytes = constant(8192);
  int64_t root_bytes = 32768;
  int cycles = 50;
};

struct CycleResult {
  int64_t marked_before = 0;
  int64_t trigger = 0;
  int64_t goal = 0;
  int64_t heap_at_end = 0;
  double utilization = 0;
  bool limiting = false;  // at the end of the cycle

  double goal_ratio() const { return static_cast<double>(heap_at_end) / static_cast<double>(goal); }
  // Where between the last cycle's marked heap and the goal the cycle started.
  double trigger_ratio() const {
    return static_cast<double>(trigger - marked_before) / static_cast<double>(goal - marked_before);
  }
};

struct RunResult {
  std::vector<CycleResult> cycles;
  double gc_cpu_ns = 0;
  double total_cpu_ns = 0;
};

inline RunResult run(const Scenario& scenario) {
  constexpr double kStepNs = 20'000;
  const auto bytes = [](double amount) { return static_cast<int64_t>(amount); };

  Pacer pacer(scenario.gc_percent, scenario.memory_limit, 0);
  CpuLimiter limiter(scenario.procs);
  RunResult result;
  const auto spend = [&](double gc_ns, double total_ns) {
    limiter.add(bytes(gc_ns), bytes(total_ns));
    result.gc_cpu_ns += gc_ns;
    result.total_cpu_ns += total_ns;
  };

  double now = 0;
  double live = 0;
  double survivors = static_cast<double>(scenario.first_survivors);
  int64_t marked = 0;
  for (int i = 0; i < scenario.cycles; ++i) {
    const double allocation_rate = scenario.allocation_rate(i);
    const double scannable = scenario.scannable(i);
    const double stack_bytes = scenario.stack_bytes(i);
    const auto root_bytes = static_cast<double>(scenario.root_bytes);
    CycleResult cycle;
    cycle.marked_before = marked;

    pacer.update_goal(scenario.overhead);
    const double until_trigger = std::max(static_cast<double>(pacer.trigger()) - live, 0.0);
    const double program_ns = until_trigger / allocation_rate;
    spend(0, program_ns);
    now += program_ns / scenario.procs;
    live += until_trigger;

    const double started = now;
    const CyclePlan plan = pacer.start_cycle({.now_ns = bytes(now),
                                              .procs = scenario.procs,
                                              .heap_live = bytes(live),
                                              .heap_scan = bytes(live * scannable),
                                              .stack_bytes = bytes(stack_bytes),
                                              .root_bytes = scenario.root_bytes});
    cycle.trigger = bytes(live);
    survivors *= scenario.growth(i);
    const double heap_work = survivors * scannable;
    const double work = heap_work + stack_bytes + root_bytes;
    double done = 0;
    double black = 0;
    double assist_ns = 0;
    const double background = plan.background_processors / scenario.procs;
    while (done < work) {
      const AssistRatio ratio = pacer.revise(bytes(live), bytes(live * scannable), bytes(done));
      // Scanning over allocating is the ratio when the collector has this share of the CPU.
      const double owed = ratio.work_per_byte * allocation_rate;
      const double paced = owed / (owed + scenario.scan_rate);
      const double share = limiter.limiting() ? background : std::clamp(paced, background, 0.99);
      const double full_step = scenario.scan_rate * scenario.procs * share * kStepNs;
      const double part = std::min(1.0, (work - done) / full_step);
      const double cpu_ns = scenario.procs * kStepNs * part;
      const double allocated = allocation_rate * (1 - share) * cpu_ns;
      done = part < 1 ? work : done + full_step;
      live += allocated;
      black += allocated;
      assist_ns += (share - background) * cpu_ns;
      now += kStepNs * part;
      spend(share * cpu_ns, cpu_ns);
    }
    cycle.goal = pacer.goal();
    cycle.heap_at_end = bytes(live);
    marked = bytes(survivors + black);
    pacer.end_cycle({.now_ns = bytes(now),
                     .heap_live = bytes(live),
                     .heap_marked = marked,
                     .heap_scan_marked = bytes(heap_work),
                     .stack_scanned = bytes(stack_bytes),
                     .roots_scanned = scenario.root_bytes,
                     .scan_work = bytes(work),
                     .assist_ns = bytes(assist_ns),
                     .background_ns = bytes(background * scenario.procs * (now - started))});
    cycle.utilization = pacer.utilization();
    cycle.limiting = limiter.limiting();
    live = static_cast<double>(marked);
    result.cycles.push_back(cycle);
  }
  return result;
}

}  // namespace tricolor::gc::simulation
