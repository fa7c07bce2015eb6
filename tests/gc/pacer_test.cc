#include "gc/pacer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

namespace tricolor::gc {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kSecond = 1'000'000'000;

// A pacer after one forced cycle, which leaves cons_mark at 0, that marked these amounts.
Pacer after_cycle(int64_t gc_percent, int64_t limit, int64_t marked, int64_t stacks,
                  int64_t roots) {
  Pacer pacer(gc_percent, limit, 0);
  pacer.start_cycle({.now_ns = 0, .procs = 2, .heap_live = marked, .forced = true});
  pacer.end_cycle({.now_ns = kSecond,
                   .heap_live = marked,
                   .heap_marked = marked,
                   .heap_scan_marked = marked,
                   .stack_scanned = stacks,
                   .roots_scanned = roots,
                   .scan_work = marked + stacks + roots});
  return pacer;
}

TEST_CASE("pacer: the heap minimum follows GOGC") {
  CHECK(Pacer(100, kMax, 0).goal() == 4 * kMiB);
  CHECK(Pacer(50, kMax, 0).goal() == 2 * kMiB);
  CHECK(Pacer(400, kMax, 0).goal() == 16 * kMiB);
  CHECK(Pacer(0, kMax, 0).goal() == 0);
}

TEST_CASE("pacer: the goal counts stacks and roots but not on top of the marked heap twice") {
  const Pacer pacer = after_cycle(50, kMax, 100 * kMiB, 20 * kMiB, 10 * kMiB);
  CHECK(pacer.goal() == (100 + 130 / 2) * kMiB);
}

TEST_CASE("pacer: without a runway the trigger is at 95%, or 4 MiB before a larger goal") {
  const Pacer small = after_cycle(100, kMax, 10 * kMiB, 0, 0);
  CHECK(small.trigger() == 10 * kMiB + 10 * kMiB * 95 / 100);
  const Pacer large = after_cycle(100, kMax, 1000 * kMiB, 0, 0);
  CHECK(large.trigger() == 1996 * kMiB);
}

TEST_CASE("pacer: the runway sets the trigger between its bounds") {
  // One cycle on 4 processors that marked 100 MiB with 25% of the CPU while allocated bytes came.
  const auto with_allocation = [](int64_t allocated) {
    Pacer pacer(100, kMax, 0);
    pacer.start_cycle({.now_ns = 0, .procs = 4, .heap_live = 100 * kMiB});
    pacer.end_cycle({.now_ns = kSecond,
                     .heap_live = 100 * kMiB + allocated,
                     .heap_marked = 100 * kMiB,
                     .heap_scan_marked = 100 * kMiB,
                     .scan_work = 100 * kMiB,
                     .background_ns = kSecond});
    return pacer;
  };
  const Pacer within = with_allocation(15 * kMiB);
  CHECK(within.cons_mark() == doctest::Approx(0.15 / 3));
  CHECK(within.runway() == doctest::Approx(15.0 * kMiB).epsilon(1e-6));
  CHECK(within.trigger() == doctest::Approx(185.0 * kMiB).epsilon(1e-6));
  CHECK(with_allocation(kMiB).trigger() == 196 * kMiB);
  CHECK(with_allocation(60 * kMiB).trigger() == 170 * kMiB);
}

TEST_CASE("pacer: cons_mark is the largest of five cycles") {
  Pacer pacer(100, kMax, 0);
  const auto cycle = [&](int64_t allocated) {
    pacer.start_cycle({.now_ns = 0, .procs = 4, .heap_live = 100 * kMiB});
    pacer.end_cycle({.now_ns = kSecond,
                     .heap_live = 100 * kMiB + allocated,
                     .heap_marked = 100 * kMiB,
                     .heap_scan_marked = 100 * kMiB,
                     .scan_work = 100 * kMiB,
                     .background_ns = kSecond});
    return pacer.cons_mark() * 300;  // back in MiB allocated
  };
  CHECK(cycle(9 * kMiB) == doctest::Approx(9));
  CHECK(cycle(30 * kMiB) == doctest::Approx(30));
  for (int i = 0; i < 4; ++i) CHECK(cycle(3 * kMiB) == doctest::Approx(30));
  CHECK(cycle(3 * kMiB) == doctest::Approx(3));
}

TEST_CASE("pacer: cons_mark weighs CPU, idle workers and assists included") {
  Pacer pacer(100, kMax, 0);
  pacer.start_cycle({.now_ns = 0, .procs = 4, .heap_live = 100 * kMiB});
  pacer.end_cycle({.now_ns = kSecond,
                   .heap_live = 120 * kMiB,
                   .heap_marked = 100 * kMiB,
                   .heap_scan_marked = 100 * kMiB,
                   .scan_work = 100 * kMiB,
                   .assist_ns = kSecond,
                   .background_ns = kSecond,
                   .idle_ns = kSecond / 2});
  CHECK(pacer.utilization() == doctest::Approx(0.5));
  CHECK(pacer.cons_mark() == doctest::Approx(0.2 * (0.5 + 0.125) / 0.5));
}

TEST_CASE("pacer: a cycle that took all of the CPU leaves a finite, long runway") {
  Pacer pacer(100, kMax, 0);
  pacer.start_cycle({.now_ns = 0, .procs = 4, .heap_live = 100 * kMiB});
  pacer.end_cycle({.now_ns = kSecond,
                   .heap_live = 101 * kMiB,
                   .heap_marked = 100 * kMiB,
                   .heap_scan_marked = 100 * kMiB,
                   .scan_work = 100 * kMiB,
                   .assist_ns = 4 * kSecond,
                   .background_ns = kSecond});
  CHECK(pacer.cons_mark() == doctest::Approx(0.01 * 0.99 / 0.01));
  CHECK(pacer.trigger() == 170 * kMiB);
}

TEST_CASE("pacer: unknown background time counts as 25%") {
  Pacer pacer(100, kMax, 0);
  pacer.start_cycle({.now_ns = 0, .procs = 4, .heap_live = 100 * kMiB});
  pacer.end_cycle({.now_ns = kSecond, .heap_live = 100 * kMiB, .assist_ns = kSecond});
  CHECK(pacer.utilization() == doctest::Approx(0.5));
}

TEST_CASE("pacer: a forced cycle leaves cons_mark alone and brings the goal up to date") {
  Pacer pacer(100, kMax, 0);
  pacer.start_cycle({.now_ns = 0, .procs = 4, .heap_live = 100 * kMiB, .forced = true});
  pacer.end_cycle({.now_ns = kSecond,
                   .heap_live = 150 * kMiB,
                   .heap_marked = 80 * kMiB,
                   .heap_scan_marked = 80 * kMiB,
                   .scan_work = 80 * kMiB});
  CHECK(pacer.cons_mark() == 0);
  CHECK(pacer.goal() == 160 * kMiB);
}

TEST_CASE("pacer: the memory limit lowers the goal by overhead and headroom") {
  Pacer pacer = after_cycle(100, 150 * kMiB, 100 * kMiB, 0, 0);
  CHECK(pacer.goal() == 149 * kMiB);
  CHECK(pacer.limited_by_memory());
  pacer.update_goal(20 * kMiB);
  CHECK(pacer.goal() == 129 * kMiB);
  CHECK(pacer.trigger() <= pacer.goal());
  pacer.set_memory_limit(500 * kMiB);
  CHECK(pacer.goal() == 200 * kMiB);
  CHECK_FALSE(pacer.limited_by_memory());
}

TEST_CASE("pacer: objects that fill what counted as overhead move goal and trigger alike") {
  Pacer pacer = after_cycle(-1, 150 * kMiB, 100 * kMiB, 0, 0);
  pacer.update_goal(40 * kMiB);
  CHECK(pacer.goal() == 109 * kMiB);
  const int64_t trigger = pacer.trigger();
  pacer.update_goal(10 * kMiB, 30 * kMiB);
  CHECK(pacer.goal() == 139 * kMiB);
  CHECK(pacer.trigger() == trigger + 30 * kMiB);
  // More cannot have been filled than there was: the next cycle is due at once, no earlier.
  pacer.update_goal(40 * kMiB, 30 * kMiB);
  CHECK(pacer.trigger() == pacer.goal());
  pacer.update_goal(40 * kMiB);
  CHECK(pacer.trigger() == trigger);
}

TEST_CASE("pacer: the limit never brings goal and trigger below the marked heap") {
  Pacer pacer = after_cycle(100, 150 * kMiB, 100 * kMiB, 0, 0);
  for (const int64_t overhead : {60 * kMiB, 150 * kMiB, 10'000 * kMiB, kMax}) {
    pacer.update_goal(overhead);
    CHECK(pacer.goal() == 100 * kMiB);
    CHECK(pacer.trigger() == 100 * kMiB);
  }
}

TEST_CASE("pacer: with GOGC off only the limit counts") {
  const Pacer limited = after_cycle(-1, 150 * kMiB, 10 * kMiB, 0, 0);
  CHECK(limited.goal() == 149 * kMiB);
  const Pacer unlimited = after_cycle(-1, kMax, 10 * kMiB, 0, 0);
  CHECK(unlimited.goal() == Pacer::kNever);
  CHECK(unlimited.trigger() == Pacer::kNever);
}

TEST_CASE("pacer: setting GOGC moves the goal at once") {
  Pacer pacer = after_cycle(100, kMax, 100 * kMiB, 0, 0);
  pacer.set_gc_percent(50);
  CHECK(pacer.goal() == 150 * kMiB);
  pacer.set_gc_percent(-1);
  CHECK(pacer.goal() == Pacer::kNever);
}

TEST_CASE("pacer: a cycle that starts at its goal or past it still has a runway") {
  Pacer pacer = after_cycle(100, kMax, 100 * kMiB, 0, 0);
  pacer.start_cycle({.now_ns = 0, .procs = 2, .heap_live = 220 * kMiB});
  CHECK(pacer.goal() == 220 * kMiB + Pacer::kMinRunway);
}

TEST_CASE("pacer: a quarter of the processors marks, in whole and fractional workers") {
  struct Row {
    double procs;
    int dedicated;
    double fractional;
  };
  for (const Row row : std::initializer_list<Row>{{0.5, 0, 0.25},
                                                  {1, 0, 0.25},
                                                  {1.5, 0, 0.25},
                                                  {2, 0, 0.25},
                                                  {3, 0, 0.25},
                                                  {4, 1, 0},
                                                  {5, 1, 0},
                                                  {6, 1, 0.5 / 6},
                                                  {7, 2, 0},
                                                  {8, 2, 0},
                                                  {64, 16, 0}}) {
    Pacer pacer(100, kMax, 0);
    const CyclePlan plan = pacer.start_cycle({.procs = row.procs});
    CAPTURE(row.procs);
    CHECK(plan.dedicated_workers == row.dedicated);
    CHECK(plan.fractional_utilization == doctest::Approx(row.fractional));
    CHECK(plan.background_processors ==
          doctest::Approx(row.dedicated + row.fractional * row.procs));
  }
}

// A pacer in a cycle that started at 180 of 200 MiB and expects 100 MiB of work.
Pacer in_cycle(int64_t limit = kMax) {
  Pacer pacer = after_cycle(100, limit, 100 * kMiB, 0, 0);
  pacer.start_cycle({.now_ns = 0, .procs = 2, .heap_live = 180 * kMiB, .heap_scan = 180 * kMiB});
  return pacer;
}

TEST_CASE("pacer: assists pay the work left over the room left") {
  const Pacer pacer = in_cycle();
  AssistRatio ratio = pacer.revise(180 * kMiB, 180 * kMiB, 0);
  CHECK(ratio.work_per_byte == doctest::Approx(100.0 / 20));
  CHECK(ratio.bytes_per_work == doctest::Approx(20.0 / 100));
  ratio = pacer.revise(190 * kMiB, 190 * kMiB, 50 * kMiB);
  CHECK(ratio.work_per_byte == doctest::Approx(50.0 / 10));
}

TEST_CASE("pacer: work left counts as 1000 bytes and room left as one byte at least") {
  const Pacer pacer = in_cycle();
  CHECK(pacer.revise(190 * kMiB, 190 * kMiB, 100 * kMiB).work_per_byte ==
        doctest::Approx(1000.0 / (10.0 * kMiB)));
  CHECK(pacer.revise(200 * kMiB, 200 * kMiB, 60 * kMiB).work_per_byte ==
        doctest::Approx(40.0 * kMiB));
}

TEST_CASE("pacer: more work than expected stretches the goal in proportion") {
  const Pacer pacer = in_cycle();
  // 20 MiB of runway for 100 MiB of work become 36 for the 180 there can be.
  const AssistRatio ratio = pacer.revise(195 * kMiB, 180 * kMiB, 101 * kMiB);
  CHECK(ratio.work_per_byte == doctest::Approx((180.0 - 101) / (180 + 36 - 195)));
}

TEST_CASE("pacer: the goal stretches by GOGC at most") {
  const Pacer pacer = in_cycle();
  const AssistRatio ratio = pacer.revise(195 * kMiB, 100'000 * kMiB, 101 * kMiB);
  CHECK(ratio.work_per_byte == doctest::Approx((100'000.0 - 101) / (400 - 195)));
}

TEST_CASE(
    "[pacing.limit] beyond the limit assists have no room to aim at, unless all of it lives") {
  Pacer pacer = in_cycle(151 * kMiB);
  CHECK(pacer.goal_at_limit() == 150 * kMiB);
  const AssistRatio beyond = pacer.revise(152 * kMiB, 100 * kMiB, 0);
  CHECK(beyond.work_per_byte == doctest::Approx(100 * kMiB / double(Pacer::kMinRunway)));
  Pacer all_lives = in_cycle(90 * kMiB);
  CHECK(all_lives.goal_at_limit() == Pacer::kNever);
  CHECK(all_lives.revise(102 * kMiB, 100 * kMiB, 0).work_per_byte < 20);
}

TEST_CASE("pacer: the goal never stretches over the memory limit") {
  const Pacer pacer = in_cycle(211 * kMiB);
  const AssistRatio ratio = pacer.revise(195 * kMiB, 180 * kMiB, 101 * kMiB);
  CHECK(ratio.work_per_byte == doctest::Approx((180.0 - 101) / (210 - 195)));
}

TEST_CASE("pacer: past the goal a tenth more is left for all there can be") {
  const Pacer pacer = in_cycle();
  const AssistRatio ratio = pacer.revise(210 * kMiB, 210 * kMiB, 50 * kMiB);
  CHECK(ratio.work_per_byte == doctest::Approx((210.0 - 50) / (220 - 210)));
}

TEST_CASE("pacer: a forced cycle with everything off asks nothing of allocations") {
  Pacer pacer = after_cycle(-1, kMax, 100 * kMiB, 0, 0);
  const CyclePlan plan =
      pacer.start_cycle({.procs = 2, .heap_live = 180 * kMiB, .heap_scan = 180 * kMiB});
  CHECK(plan.assist.work_per_byte < 1e-9);
  CHECK(pacer.revise(190 * kMiB, 190 * kMiB, 150 * kMiB).work_per_byte < 1e-9);
}

TEST_CASE("pacer: a cycle is due after two minutes without one") {
  Pacer pacer(100, kMax, 5 * kSecond);
  CHECK_FALSE(pacer.periodic_due(124 * kSecond));
  CHECK(pacer.periodic_due(125 * kSecond));
  pacer.start_cycle({.now_ns = 125 * kSecond, .procs = 2});
  CHECK_FALSE(pacer.periodic_due(300 * kSecond));
  pacer.end_cycle({.now_ns = 126 * kSecond});
  CHECK_FALSE(pacer.periodic_due(245 * kSecond));
  CHECK(pacer.periodic_due(246 * kSecond));
  CHECK_FALSE(pacer.periodic_due(0));
  pacer.set_gc_percent(-1);
  CHECK_FALSE(pacer.periodic_due(1000 * kSecond));
}

TEST_CASE("pacer: the start trace shows the cycle's plan") {
  Pacer pacer = after_cycle(100, kMax, 100 * kMiB, 0, 0);
  const CyclePlan plan = pacer.start_cycle(
      {.procs = 2, .heap_live = 180 * kMiB, .heap_scan = 170 * kMiB, .root_bytes = 10 * kMiB});
  const runtime::PacerStartTrace& trace = pacer.start_trace();
  CHECK(trace.assist_work_per_byte == plan.assist.work_per_byte);
  CHECK(trace.assist_work_per_byte == doctest::Approx(110.0 / 20));
  CHECK(trace.heap_scan == 170 * kMiB);
  CHECK(trace.heap_live == 180 * kMiB);
  CHECK(trace.heap_goal == 200 * kMiB);
  CHECK(trace.dedicated_workers == 0);
  CHECK(trace.fractional_utilization == doctest::Approx(0.25));
}

TEST_CASE("pacer: the end trace shows what was expected before the cycle was learnt from") {
  Pacer pacer = after_cycle(100, kMax, 100 * kMiB, 1000, 500);
  pacer.start_cycle({.now_ns = 0, .procs = 4, .heap_live = 180 * kMiB, .root_bytes = 600});
  const int64_t goal = pacer.goal();
  pacer.end_cycle({.now_ns = kSecond,
                   .heap_live = 210 * kMiB,
                   .heap_marked = 120 * kMiB,
                   .heap_scan_marked = 120 * kMiB,
                   .stack_scanned = 2000,
                   .roots_scanned = 700,
                   .scan_work = 120 * kMiB + 2700,
                   .assist_ns = kSecond / 10,
                   .background_ns = kSecond});
  const runtime::PacerEndTrace& trace = pacer.end_trace();
  CHECK(trace.utilization == doctest::Approx(0.275));
  CHECK(trace.expected_utilization == 0.25);
  CHECK(trace.heap_work == 120 * kMiB);
  CHECK(trace.stack_work == 2000);
  CHECK(trace.root_work == 700);
  CHECK(trace.expected_work == 100 * kMiB + 1000 + 600);
  CHECK(trace.heap_at_start == 180 * kMiB);
  CHECK(trace.heap_at_end == 210 * kMiB);
  CHECK(trace.goal_difference == 210 * kMiB - goal);
  CHECK(trace.cons_mark == 0);
  CHECK(pacer.cons_mark() > 0);
  CHECK(pacer.expected_work() == 120 * kMiB + 2000 + 700);
}

// [pacer.order] [pacer.finite]
TEST_CASE("pacer: extreme and senseless inputs leave order and finite ratios") {
  const std::initializer_list<int64_t> amounts = {
      std::numeric_limits<int64_t>::min(), -1, 0, 1, 100 * kMiB, kMax - 1, kMax};
  const std::initializer_list<double> processors = {
      -1, 0, 1e-300, 2, 1e300, std::numeric_limits<double>::infinity(), std::nan("")};
  for (const int64_t gc_percent : amounts) {
    for (const int64_t limit : amounts) {
      for (const int64_t amount : amounts) {
        for (const double procs : processors) {
          CAPTURE(gc_percent);
          CAPTURE(limit);
          CAPTURE(amount);
          CAPTURE(procs);
          Pacer pacer(gc_percent, limit, amount);
          for (const int64_t live : amounts) {
            pacer.update_goal(live);
            const CyclePlan plan = pacer.start_cycle({.now_ns = live,
                                                      .procs = procs,
                                                      .heap_live = amount,
                                                      .heap_scan = amount,
                                                      .stack_bytes = amount,
                                                      .root_bytes = live});
            const AssistRatio ratio = pacer.revise(live, amount, live);
            pacer.end_cycle({.now_ns = amount,
                             .heap_live = live,
                             .heap_marked = amount,
                             .heap_scan_marked = live,
                             .stack_scanned = amount,
                             .roots_scanned = live,
                             .scan_work = amount,
                             .assist_ns = live,
                             .background_ns = amount,
                             .idle_ns = live});
            const bool ordered =
                std::max<int64_t>(amount, 0) <= pacer.trigger() && pacer.trigger() <= pacer.goal();
            const bool finite = std::isfinite(plan.assist.work_per_byte) &&
                                std::isfinite(ratio.work_per_byte) && ratio.work_per_byte > 0 &&
                                std::isfinite(ratio.bytes_per_work) && ratio.bytes_per_work > 0 &&
                                std::isfinite(pacer.cons_mark()) &&
                                std::isfinite(pacer.utilization()) && pacer.runway() >= 0;
            const bool planned = plan.dedicated_workers >= 0 && plan.background_processors > 0;
            CAPTURE(live);
            REQUIRE(ordered);
            REQUIRE(finite);
            REQUIRE(planned);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tricolor::gc
