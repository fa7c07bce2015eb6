// The pacer over whole runs of a program, each with the band it has to settle in.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "tests/gc/pacer_simulation.h"

namespace tricolor::gc::simulation {
namespace {

constexpr double kGoal = Pacer::kBackgroundUtilization;

// value x (1 +- spread), the same in every run; a different seed is a different sequence.
PerCycle jitter(double value, double spread, unsigned seed) {
  return [=](int cycle) {
    std::mt19937 random(seed + 1000 * static_cast<unsigned>(cycle));
    random.discard(16);
    const double from_minus_one_to_one = static_cast<double>(random()) / 0x80000000U - 1;
    return value * (1 + spread * from_minus_one_to_one);
  };
}

PerCycle product(PerCycle a, PerCycle b) {
  return [=](int cycle) { return a(cycle) * b(cycle); };
}

void check_ends_near_goal(const RunResult& run, size_t from, size_t to) {
  for (size_t i = from; i < to; ++i) {
    CAPTURE(i);
    CHECK(run.cycles[i].goal_ratio() >= 0.95);
    CHECK(run.cycles[i].goal_ratio() <= 1.05);
  }
}

void check_utilization(const RunResult& run, size_t from, size_t to, double low, double high) {
  for (size_t i = from; i < to; ++i) {
    CAPTURE(i);
    CHECK(run.cycles[i].utilization >= low);
    CHECK(run.cycles[i].utilization <= high);
  }
}

// 25% within half a percent of it, the narrower reading of "25% +-0.5%".
void check_settled(const RunResult& run, size_t from, size_t to) {
  check_ends_near_goal(run, from, to);
  check_utilization(run, from, to, kGoal * 0.995, kGoal * 1.005);
}

void check_unchanging(const RunResult& run, size_t from, size_t to) {
  check_ends_near_goal(run, from, to);
  for (size_t i = from; i < to; ++i) {
    CAPTURE(i);
    CHECK(run.cycles[i].utilization ==
          doctest::Approx(run.cycles[i - 1].utilization).epsilon(0.005));
  }
}

TEST_CASE("pacer scenario: a steady heap settles") {
  const RunResult result = run({});
  check_settled(result, 24, 50);
}

TEST_CASE("pacer scenario: steady on two processors, with a quota, on one and on many") {
  for (const double procs : {1.0, 1.5, 2.0, 4.0, 6.0, 64.0}) {
    CAPTURE(procs);
    check_settled(run({.procs = procs}), 24, 50);
  }
}

TEST_CASE("pacer scenario: big stacks") {
  const RunResult result = run({.allocation_rate = constant(0.13), .stack_bytes = [](int cycle) {
                                  return 2048.0 + 16.0 * kMiB * std::min(cycle, 8);
                                }});
  check_settled(result, 24, 50);
}

TEST_CASE("pacer scenario: big roots") {
  const RunResult result = run({.allocation_rate = constant(0.13), .root_bytes = 128 * kMiB});
  check_settled(result, 24, 50);
}

TEST_CASE("pacer scenario: the allocation rate steps up and down") {
  const RunResult result =
      run({.allocation_rate = [](int cycle) { return cycle >= 50 && cycle < 100 ? 0.099 : 0.033; },
           .cycles = 150});
  check_settled(result, 24, 50);
  // The runway of the slow rate is too short: assists keep the first fast cycle at its goal.
  check_ends_near_goal(result, 50, 51);
  check_utilization(result, 50, 51, kGoal * 1.5, 0.6);
  check_settled(result, 55, 100);
  // Down again, the runway is too long until the fast cycles are forgotten: cycles end early.
  for (size_t i = 100; i < 106; ++i) CHECK(result.cycles[i].goal_ratio() <= 1.0);
  check_settled(result, 106, 150);
}

TEST_CASE("pacer scenario: a heavy step needs assists for good") {
  const RunResult result = run(
      {.allocation_rate = [](int cycle) { return cycle >= 50 ? 0.363 : 0.033; }, .cycles = 100});
  check_settled(result, 24, 50);
  check_ends_near_goal(result, 50, 75);
  check_unchanging(result, 75, 100);
  // Not even the earliest trigger leaves background marking the time it needs.
  CHECK(result.cycles[99].trigger_ratio() == doctest::Approx(0.70).epsilon(0.001));
  check_utilization(result, 75, 100, kGoal, 0.5);
}

TEST_CASE("pacer scenario: a step in the scannable part of the heap") {
  const RunResult result = run({.allocation_rate = constant(0.128),
                                .scannable = [](int cycle) { return cycle >= 50 ? 0.7 : 0.2; },
                                .cycles = 100});
  check_settled(result, 24, 50);
  check_settled(result, 75, 100);
}

TEST_CASE("pacer scenario: high GOGC and a heap that grows fifteenfold in one cycle") {
  const RunResult result =
      run({.gc_percent = 1500, .allocation_rate = jitter(0.165, 0.04, 1), .growth = [](int cycle) {
             return cycle < 12 ? 1.5 : cycle == 25 ? 15.0 : 1.0;
           }});
  check_ends_near_goal(result, 12, 25);
  check_utilization(result, 12, 25, kGoal * 0.97, kGoal * 1.1);
  // The growing cycle may overshoot, but not by more than the next cycle's heap.
  CHECK(result.cycles[25].goal_ratio() >= 0.9);
  CHECK(result.cycles[25].heap_at_end <= result.cycles[26].goal);
  check_utilization(result, 25, 26, kGoal * 0.97, kGoal * 1.1);
  check_ends_near_goal(result, 26, 50);
  check_utilization(result, 26, 50, kGoal * 0.97, kGoal * 1.1);
}

TEST_CASE("pacer scenario: an oscillating allocation rate") {
  const RunResult result = run({.allocation_rate = [](int cycle) {
    return 0.067 + 0.013 * std::sin(cycle * std::numbers::pi / 4);
  }});
  check_ends_near_goal(result, 13, 50);
  check_utilization(result, 13, 50, 0.25 - 1e-6, 0.3);
}

TEST_CASE("pacer scenario: jitter") {
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    CAPTURE(seed);
    const RunResult result =
        run({.allocation_rate = jitter(0.132, 0.1, seed),
             .growth = product(grow_first(1.5, 12), jitter(1, 0.005, seed + 500))});
    check_ends_near_goal(result, 13, 50);
    check_utilization(result, 13, 50, 0.25 - 1e-6, 0.3);
  }
}

TEST_CASE("pacer scenario: heavy jitter") {
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    CAPTURE(seed);
    const RunResult result =
        run({.allocation_rate = jitter(0.330, 0.1, seed),
             .growth = product(grow_first(1.5, 12), jitter(1, 0.005, seed + 500))});
    check_ends_near_goal(result, 13, 50);
    check_utilization(result, 13, 50, kGoal, 0.5);
    for (size_t i = 14; i < 50; ++i) {
      CAPTURE(i);
      CHECK(std::fabs(result.cycles[i].utilization - result.cycles[i - 1].utilization) <= 0.05);
    }
  }
}

Scenario slow_allocation(int64_t survivors) {
  return {.first_survivors = survivors, .allocation_rate = constant(0.001), .growth = constant(1)};
}

TEST_CASE("pacer scenario: a small heap with slow allocation starts at 95%") {
  const RunResult result = run(slow_allocation(2 * kMiB));
  check_settled(result, 24, 50);
  for (size_t i = 24; i < 50; ++i) {
    CHECK(result.cycles[i].trigger_ratio() == doctest::Approx(0.95).epsilon(0.001));
  }
}

TEST_CASE("pacer scenario: a medium heap with slow allocation starts at 95%") {
  const RunResult result = run(slow_allocation(20 * kMiB));
  check_settled(result, 24, 50);
  for (size_t i = 24; i < 50; ++i) {
    CHECK(result.cycles[i].trigger_ratio() == doctest::Approx(0.95).epsilon(0.001));
  }
}

TEST_CASE("pacer scenario: a large heap with slow allocation starts within 4 MiB or its runway") {
  Scenario scenario = slow_allocation(2000 * kMiB);
  scenario.allocation_rate = constant(0.0002);
  const RunResult result = run(scenario);
  check_settled(result, 24, 50);
  for (size_t i = 24; i < 50; ++i) {
    CHECK(result.cycles[i].goal - result.cycles[i].trigger ==
          doctest::Approx(4.0 * kMiB).epsilon(0.001));
  }
}

TEST_CASE("pacer scenario: steady under a limit that binds") {
  const RunResult result =
      run({.gc_percent = 200, .memory_limit = 500 * kMiB, .growth = grow_first(1.5, 14)});
  check_settled(result, 24, 50);
  for (size_t i = 24; i < 50; ++i) {
    CHECK(result.cycles[i].goal == 499 * kMiB);
    CHECK(result.cycles[i].heap_at_end <= 500 * kMiB);
  }
}

TEST_CASE("pacer scenario: steady under a limit that does not bind") {
  const RunResult limited = run({.memory_limit = 800 * kMiB});
  const RunResult free = run({});
  check_settled(limited, 24, 50);
  CHECK(limited.cycles[49].goal == free.cycles[49].goal);
}

TEST_CASE("pacer scenario: a limit with GOGC=off") {
  const RunResult result =
      run({.gc_percent = -1, .memory_limit = 512 * kMiB, .overhead = 30 * kMiB});
  check_settled(result, 24, 50);
  for (size_t i = 0; i < 50; ++i) {
    CAPTURE(i);
    CHECK(result.cycles[i].goal == 481 * kMiB);
    CHECK(result.cycles[i].goal_ratio() <= 1.05);
  }
}

TEST_CASE("pacer scenario: growing into a limit with GOGC=off is paid by assists") {
  const RunResult result = run({.gc_percent = -1,
                                .memory_limit = 512 * kMiB,
                                .first_survivors = 300 * kMiB,
                                .growth = [](int cycle) { return cycle == 25 ? 1.3 : 1.0; }});
  for (size_t i = 0; i < 50; ++i) {
    CAPTURE(i);
    CHECK(result.cycles[i].goal_ratio() <= 1.05);
  }
}

TEST_CASE("pacer scenario: exceeding a limit collects all the time, at 25% where that suffices") {
  const RunResult result = run({.memory_limit = 100 * kMiB});
  for (size_t i = 24; i < 50; ++i) {
    const CycleResult& cycle = result.cycles[i];
    CAPTURE(i);
    CHECK(cycle.goal == cycle.marked_before);
    CHECK(cycle.trigger == cycle.goal);
    CHECK(cycle.goal_ratio() >= 1.0);
    CHECK(cycle.goal_ratio() <= 1.1);
  }
  check_utilization(result, 24, 50, kGoal, kGoal * 1.05);
  CHECK_FALSE(result.cycles[49].limiting);
}

TEST_CASE("pacer scenario: exceeding a limit under heavy allocation leaves half of the CPU") {
  const RunResult result =
      run({.memory_limit = 100 * kMiB, .allocation_rate = constant(1.0), .cycles = 200});
  bool limited = false;
  for (const CycleResult& cycle : result.cycles) limited = limited || cycle.limiting;
  CHECK(limited);
  // Half, and once half of the bucket with its rim.
  CHECK(result.gc_cpu_ns <= 0.5 * result.total_cpu_ns + 0.5 * 8.8e9);
  CHECK(result.gc_cpu_ns >= 0.45 * result.total_cpu_ns);
}

}  // namespace
}  // namespace tricolor::gc::simulation
