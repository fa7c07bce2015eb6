#include "runtime/trace_log.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <cerrno>
#include <limits>
#include <locale>
#include <string>

namespace tricolor::runtime {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMiB = int64_t{1} << 20;

std::string text_of(TraceLine line) {
  std::string text(line.finish());
  REQUIRE(text.back() == '\n');
  text.pop_back();
  return text;
}

std::string ms(int64_t ns) { return text_of(TraceLine().append_ms(ns)); }
std::string scaled(int64_t value, int decimals) {
  return text_of(TraceLine().append_scaled(value, decimals));
}
std::string real(double value) { return text_of(TraceLine().append_float(value)); }
std::string percent(double fraction) { return text_of(TraceLine().append_percent(fraction)); }

TEST_CASE("trace log: under a microsecond a time is 0") {
  CHECK(ms(0) == "0");
  CHECK(ms(1) == "0");
  CHECK(ms(999) == "0");
  CHECK(ms(-5) == "0");
  CHECK(ms(kMin) == "0");
}

TEST_CASE("trace log: under 10 ms a time has two digits and at most three decimals") {
  CHECK(ms(1'000) == "0.001");
  CHECK(ms(9'999) == "0.009");
  CHECK(ms(10'000) == "0.010");
  CHECK(ms(99'999) == "0.099");
  CHECK(ms(100'000) == "0.10");
  CHECK(ms(580'000) == "0.58");
  CHECK(ms(589'999) == "0.58");
  CHECK(ms(999'999) == "0.99");
  CHECK(ms(1'000'000) == "1.0");
  CHECK(ms(1'200'000) == "1.2");
  CHECK(ms(9'999'999) == "9.9");
}

TEST_CASE("trace log: from 10 ms on a time is an integer") {
  CHECK(ms(10'000'000) == "10");
  CHECK(ms(10'999'999) == "10");
  CHECK(ms(123'456'789) == "123");
  CHECK(ms(kMax) == "9223372036854");
}

TEST_CASE("trace log: a scaled number has exactly its decimals") {
  CHECK(scaled(0, 3) == "0.000");
  CHECK(scaled(7, 3) == "0.007");
  CHECK(scaled(1234, 3) == "1.234");
  CHECK(scaled(12'000, 3) == "12.000");
  CHECK(scaled(42, 0) == "42");
  CHECK(scaled(-1, 1) == "0.0");
}

TEST_CASE("trace log: floats look as Go prints them") {
  CHECK(real(0) == "+0.000000e+000");
  CHECK(real(0.25) == "+2.500000e-001");
  CHECK(real(1) == "+1.000000e+000");
  CHECK(real(-12345.678) == "-1.234568e+004");
  CHECK(real(9.9999999) == "+1.000000e+001");
  CHECK(real(1e300) == "+1.000000e+300");
  CHECK(real(1e-300) == "+1.000000e-300");
  CHECK(real(std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(real(-std::numeric_limits<double>::infinity()) == "-Inf");
  CHECK(real(std::numeric_limits<double>::quiet_NaN()) == "NaN");
}

TEST_CASE("trace log: a share is a truncated percentage") {
  CHECK(percent(0) == "0");
  CHECK(percent(0.0199) == "1");
  CHECK(percent(0.25) == "25");
  CHECK(percent(0.999) == "99");
  CHECK(percent(1) == "100");
  CHECK(percent(-1) == "0");
  CHECK(percent(std::numeric_limits<double>::quiet_NaN()) == "0");
  CHECK(percent(std::numeric_limits<double>::infinity()) == "1000000000");
}

CycleTrace sample_cycle() {
  return {.number = 7,
          .start_ns = 1'234'567'890,
          .gc_cpu_fraction = 0.0399,
          .enter_wall_ns = 18'900,
          .mark_wall_ns = 5'430'000,
          .terminate_wall_ns = 900,
          .enter_cpu_ns = 37'800,
          .assist_cpu_ns = 580'000,
          .background_cpu_ns = 2'700'000,
          .idle_cpu_ns = 11'000'000,
          .terminate_cpu_ns = 1'800,
          .heap_at_start = 4 * kMiB + 1,
          .heap_at_end = 5 * kMiB - 1,
          .heap_marked = 2 * kMiB,
          .heap_goal = 5 * kMiB,
          .stack_bytes = kMiB / 2,
          .root_bytes = kMiB,
          .processors = 2};
}

TEST_CASE("trace log: the gctrace line, to the letter") {
  CHECK(text_of(format_gctrace(sample_cycle())) ==
        "gc 7 @1.234s 3%: 0.018+5.4+0 ms clock, 0.037+0.58/2.7/11+0.001 ms cpu, "
        "4->4->2 MB, 5 MB goal, 0 MB stacks, 1 MB globals, 2 P");
}

TEST_CASE("trace log: a cycle asked for by a call says so") {
  CycleTrace cycle = sample_cycle();
  cycle.forced = true;
  CHECK(text_of(format_gctrace(cycle)) ==
        "gc 7 @1.234s 3%: 0.018+5.4+0 ms clock, 0.037+0.58/2.7/11+0.001 ms cpu, "
        "4->4->2 MB, 5 MB goal, 0 MB stacks, 1 MB globals, 2 P (forced)");
}

TEST_CASE("trace log: a first cycle full of zeros") {
  CHECK(text_of(format_gctrace({.number = 1, .processors = 1})) ==
        "gc 1 @0.000s 0%: 0+0+0 ms clock, 0+0/0/0+0 ms cpu, "
        "0->0->0 MB, 0 MB goal, 0 MB stacks, 0 MB globals, 1 P");
}

TEST_CASE("trace log: the detail line, to the letter") {
  CycleTrace cycle = sample_cycle();
  cycle.handshakes = 12;
  cycle.max_handshake_ns = 48'999;
  cycle.stalls = 1;
  cycle.max_stall_ns = 2'000'000;
  cycle.assists = 34;
  cycle.max_assist_ns = 99'000;
  cycle.objects_scanned = 1'000'000;
  cycle.pages_swept = 640;
  cycle.hooks_ns = 7'100;
  CHECK(text_of(format_detail(cycle)) ==
        "gc 7 detail: handshakes=12 max_handshake_us=48 stalls=1 max_stall_us=2000 assists=34 "
        "max_assist_us=99 objects_scanned=1000000 pages_swept=640 pool_hooks_us=7 "
        "finalizer_queue=0 finalizer_queue_bytes=0 external_bytes=0");
  cycle.open = true;
  cycle.traced_bytes = 5 << 20;
  cycle.precleans = 2;
  cycle.dirty_pages = 33;
  cycle.stops = 1;
  cycle.longest_stop_ns = 450'000;
  const std::string open = text_of(format_detail(cycle));
  CHECK(open.substr(open.find(" traced_kib")) ==
        " traced_kib=5120 precleans=2 dirty_pages=33 stops=1 max_stop_us=450");
}

TEST_CASE("trace log: the pacer's line at the start of a cycle") {
  CHECK(text_of(format_pacer_start({.assist_work_per_byte = 3.5,
                                    .heap_scan = 90 * kMiB,
                                    .heap_live = 95 * kMiB,
                                    .heap_goal = 100 * kMiB,
                                    .dedicated_workers = 1,
                                    .fractional_utilization = 0.05})) ==
        "pacer: assist ratio=+3.500000e+000 (scan 90 MB in 95->100 MB) workers=1++5.000000e-002");
}

TEST_CASE("trace log: the pacer's line at the end of a cycle") {
  CHECK(text_of(format_pacer_end({.utilization = 0.2875,
                                  .expected_utilization = 0.25,
                                  .heap_work = 1000,
                                  .stack_work = 200,
                                  .root_work = 30,
                                  .expected_work = 1100,
                                  .heap_at_start = 4'000'000,
                                  .heap_at_end = 4'100'000,
                                  .goal_difference = -94'304,
                                  .cons_mark = 0.125})) ==
        "pacer: 28% CPU (25 exp.) for 1000+200+30 B work (1100 B exp.) in 4000000 B -> 4100000 B "
        "(\xe2\x88\x86goal -94304, cons/mark +1.250000e-001)");
}

TEST_CASE("trace log: the scavenger's line") {
  ScavengeTrace scavenge = {.background_bytes = 4096 * 1024,
                            .eager_bytes = 1023,
                            .total_bytes = 8 * kMiB,
                            .utilization_percent = 62};
  CHECK(text_of(format_scavtrace(scavenge)) ==
        "scav 4096 KiB work (bg), 0 KiB work (eager), 8192 KiB total, 62% util");
  scavenge.forced = true;
  CHECK(text_of(format_scavtrace(scavenge)) ==
        "scav 4096 KiB work (bg), 0 KiB work (eager), 8192 KiB total, 62% util (forced)");
}

TEST_CASE("trace log: the widest lines fit whole") {
  const CycleTrace cycle = {kMin, kMax, 1e300, kMax, kMax, kMax, kMax, kMax, kMax, kMax,
                            kMax, kMax, kMax,  kMax, kMax, kMax, kMax, kMin, true, kMin,
                            kMax, kMin, kMax,  kMin, kMax, kMin, kMin, kMax};
  CHECK(text_of(format_gctrace(cycle)).ends_with(" P (forced)"));
  CHECK(text_of(format_detail(cycle)).find(" pool_hooks_us=9223372036854775 ") !=
        std::string_view::npos);
  CHECK(text_of(format_pacer_start({-1e-300, kMax, kMax, kMax, kMin, -1e-300}))
            .ends_with("-1.000000e-300"));
  CHECK(text_of(format_pacer_end({1e300, 1e300, kMin, kMin, kMin, kMin, kMin, kMin, kMin, -1e-300}))
            .ends_with("cons/mark -1.000000e-300)"));
  CHECK(text_of(format_scavtrace({kMax, kMax, kMax, kMin, true})).ends_with(" (forced)"));
}

TEST_CASE("trace log: what does not fit is cut, the newline is not") {
  TraceLine line;
  for (int i = 0; i < 100; ++i) line.append("0123456789");
  const std::string_view text = line.finish();
  CHECK(text.size() == TraceLine::kCapacity);
  CHECK(text.back() == '\n');
}

TEST_CASE("trace log: finishing twice adds one newline") {
  TraceLine line;
  line.append("x");
  line.finish();
  CHECK(line.finish() == "x\n");
}

struct OddNumbers : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\1"; }
};

// [trace.no-heap]
TEST_CASE("trace log: the program's locale changes nothing") {
  const std::string expected =
      text_of(format_pacer_end({0.25, 0.25, 12345, 1, 2, 3, 4, 5, 6, 1.5}));
  const std::locale previous = std::locale::global(std::locale(std::locale(), new OddNumbers));
  const std::string found = text_of(format_pacer_end({0.25, 0.25, 12345, 1, 2, 3, 4, 5, 6, 1.5}));
  std::locale::global(previous);
  CHECK(found == expected);
}

// [trace.one-write] A packet pipe keeps the bounds of each write.
TEST_CASE("trace log: a line is one write") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_DIRECT) == 0);
  write_line(TraceLine().append("first"), ends[1]);
  write_line(format_gctrace(sample_cycle()), ends[1]);
  char buffer[4096];
  CHECK(::read(ends[0], buffer, sizeof buffer) == 6);
  const ssize_t second = ::read(ends[0], buffer, sizeof buffer);
  REQUIRE(second > 0);
  CHECK(buffer[second - 1] == '\n');
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("trace log: a line that cannot be written leaves errno alone") {
  errno = ENOENT;
  write_line(TraceLine().append("lost"), -1);
  CHECK(errno == ENOENT);
}

}  // namespace
}  // namespace tricolor::runtime
