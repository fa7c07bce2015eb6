// Trace lines: what GCTRACE, gcpacertrace and scavtrace print, byte for byte.
//
// [trace.one-write]  a line is formatted into a fixed buffer and leaves with one write(2), so that
//                    lines of several threads never mix.
// [trace.no-heap]    formatting allocates nothing and reads no locale: it may run inside a cycle.
// Threads: any. Nothing here keeps state.
//
// Times are nanoseconds, amounts bytes. The lines have the grammar of Go's tracer, which existing
// parsers read: MB is bytes >> 20, a time is printed by append_ms, a float as Go's print does
// (+1.250000e+000). Negative amounts, which only a caller's mistake could produce, print as 0.
#pragma once

#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tricolor::runtime {

// One finished cycle, for format_gctrace and format_detail.
struct CycleTrace {
  int64_t number = 0;             // from 1
  int64_t start_ns = 0;           // since the process started
  double gc_cpu_fraction = 0;     // of the CPU available since start, 0 to 1
  int64_t enter_wall_ns = 0;      // finishing the last sweep, barrier on, first stack scans
  int64_t mark_wall_ns = 0;       // concurrent mark
  int64_t terminate_wall_ns = 0;  // mark termination
  int64_t enter_cpu_ns = 0;
  int64_t assist_cpu_ns = 0;
  int64_t background_cpu_ns = 0;  // dedicated and fractional workers
  int64_t idle_cpu_ns = 0;        // idle-priority workers
  int64_t terminate_cpu_ns = 0;
  int64_t heap_at_start = 0;
  int64_t heap_at_end = 0;  // at the end of marking
  int64_t heap_marked = 0;
  int64_t heap_goal = 0;
  int64_t stack_bytes = 0;  // scanned
  int64_t root_bytes = 0;   // scanned
  int64_t processors = 0;
  bool forced = false;

  // The detail line only.
  int64_t handshakes = 0;        // answers of threads
  int64_t max_handshake_ns = 0;  // the longest time one thread was held
  int64_t stalls = 0;            // allocations that had to wait for the collector
  int64_t max_stall_ns = 0;
  int64_t assists = 0;  // slices
  int64_t max_assist_ns = 0;
  int64_t objects_scanned = 0;
  int64_t pages_swept = 0;
  int64_t hooks_ns = 0;         // pre-mark hooks: the pools
  int64_t finalizer_queue = 0;  // finalizers, cleanups and destructors that wait
  int64_t finalizer_queue_bytes = 0;
  int64_t external_bytes = 0;
  bool open = false;         // traced memory: how the cycle ended in stops
  int64_t traced_bytes = 0;  // read, in and outside of stops
  int64_t precleans = 0;
  int64_t dirty_pages = 0;  // read in the last stop; -1: all of it, writes are not tracked
  int64_t stops = 0;
  int64_t longest_stop_ns = 0;
};

// The pacer's view of a cycle's start and end; gc::Pacer fills them in.
struct PacerStartTrace {
  double assist_work_per_byte = 0;
  int64_t heap_scan = 0;  // scannable bytes
  int64_t heap_live = 0;
  int64_t heap_goal = 0;
  int64_t dedicated_workers = 0;
  double fractional_utilization = 0;
};

struct PacerEndTrace {
  double utilization = 0;  // background and assists, 0 to 1
  double expected_utilization = 0;
  int64_t heap_work = 0;
  int64_t stack_work = 0;
  int64_t root_work = 0;
  int64_t expected_work = 0;
  int64_t heap_at_start = 0;
  int64_t heap_at_end = 0;
  int64_t goal_difference = 0;  // heap_at_end - goal
  double cons_mark = 0;         // the estimate this cycle was paced with
};

// What the scavenger returned to the system since the last such line, and in all.
struct ScavengeTrace {
  int64_t background_bytes = 0;
  int64_t eager_bytes = 0;
  int64_t total_bytes = 0;  // returned and not taken back
  int64_t utilization_percent = 0;
  bool forced = false;
};

// A line under construction. What does not fit is cut off, the newline never; every line of this
// file fits with all numbers at their widest.
class TraceLine {
 public:
  static constexpr size_t kCapacity = 768;

  TraceLine& append(std::string_view text);
  TraceLine& append(int64_t value);            // decimal
  TraceLine& append_mb(int64_t bytes);         // bytes >> 20
  TraceLine& append_kib(int64_t bytes);        // bytes >> 10
  TraceLine& append_us(int64_t ns);            // whole microseconds, truncated
  TraceLine& append_percent(double fraction);  // truncated to an integer, without the sign

  // Milliseconds: an integer from 10 on, else two significant digits and at most three decimals,
  // 0 under a microsecond; digits are cut, not rounded.
  TraceLine& append_ms(int64_t ns);
  // value / 10^decimals with exactly that many decimals: 1234, 3 -> 1.234.
  TraceLine& append_scaled(int64_t value, int decimals);
  // As Go prints a float64: always a sign, six decimals, an exponent of at least three digits.
  // Behind a "+" of the grammar that makes two of them, in Go as here.
  TraceLine& append_float(double value);

  // With its newline.
  std::string_view finish();

 private:
  std::array<char, kCapacity> buffer_{};
  size_t size_ = 0;
};

TraceLine format_gctrace(const CycleTrace& cycle);
TraceLine format_detail(const CycleTrace& cycle);
TraceLine format_pacer_start(const PacerStartTrace& start);
TraceLine format_pacer_end(const PacerEndTrace& end);
TraceLine format_scavtrace(const ScavengeTrace& scavenge);

// Finishes the line and writes it with one write(2), repeated only when a signal stopped it before
// it wrote anything. Keeps errno. A line that cannot be written is dropped.
void write_line(TraceLine line, int fd = STDERR_FILENO) noexcept;

}  // namespace tricolor::runtime
