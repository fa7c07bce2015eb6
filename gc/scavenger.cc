#include "gc/scavenger.h"

#include <algorithm>

#include "gc/options.h"
#include "gc/pacing.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "runtime/trace_log.h"

namespace tricolor::gc {
namespace {

constexpr int64_t kSurplusStep = int64_t{16} << 20;
constexpr int64_t kAlwaysKept = int64_t{4} << 20;
constexpr int64_t kExcessPeriodNs = 100'000'000;
constexpr unsigned kSpansAStep = 2048;  // some ms
constexpr unsigned kSpansAScope = 64;
constexpr int kBusyShare = 8;  // less at a time where a cycle may be due
constexpr int64_t kShortestRestNs = 1'000'000'000;
constexpr int64_t kLongestRestNs = 64'000'000'000;

void print_trace(int64_t background_bytes, int64_t forced_bytes, bool forced) noexcept {
  if (!options().scavtrace) return;
  runtime::PageHeap& pages = runtime::g_spans.pages();
  runtime::ScavengeTrace trace;
  trace.background_bytes = background_bytes;
  trace.eager_bytes = forced_bytes + static_cast<int64_t>(pages.take_eagerly_released());
  if (!forced && trace.background_bytes == 0 && trace.eager_bytes == 0) return;
  const auto returned = static_cast<int64_t>(runtime::g_spans.returned_bytes());
  const auto in_use = static_cast<int64_t>(pages.bytes_in_use()) - returned;
  const int64_t resident = in_use + static_cast<int64_t>(pages.bytes_free());
  trace.total_bytes = static_cast<int64_t>(pages.bytes_released()) + returned;
  trace.utilization_percent = resident == 0 ? 100 : in_use * 100 / resident;
  trace.forced = forced;
  runtime::write_line(runtime::format_scavtrace(trace));
}

// Walks over the spans, a step at a time: one finds out what there is to return, and if that is
// worth it the next returns it.
class UnusedCells {
 public:
  void step(bool idle) noexcept {
    const int64_t now = runtime::os::now_ns();
    if (now < next_ns_) return;
    next_ns_ = now + kExcessPeriodNs;
    const unsigned most = idle ? kSpansAStep : kSpansAStep / kBusyShare;
    const int64_t most_bytes = idle ? kSurplusStep : kSurplusStep / kBusyShare;
    if (!may_be_many()) {
      restart(false);
      return;
    }
    if (!returns_) {
      found_ += runtime::g_spans.unused_bytes(page_, most);
      if (page_ < runtime::g_spans.used_end()) return;
      const bool worth_it = static_cast<int64_t>(found_) > resident() / 4;
      rest_ns_ = worth_it ? kShortestRestNs : std::min(2 * rest_ns_, kLongestRestNs);
      if (!worth_it) next_ns_ = now + rest_ns_;
      restart(worth_it);
      return;
    }
    size_t bytes = 0;
    for (unsigned spans = 0; spans < most && static_cast<int64_t>(bytes) < most_bytes; ++spans) {
      bytes += runtime::g_spans.return_unused(page_, 1);
    }
    print_trace(static_cast<int64_t>(bytes), 0, false);
    if (page_ >= runtime::g_spans.used_end()) restart(false);
  }

 private:
  static int64_t in_use() noexcept {
    runtime::PageHeap& pages = runtime::g_spans.pages();
    return static_cast<int64_t>(pages.bytes_in_use()) -
           static_cast<int64_t>(runtime::g_spans.returned_bytes());
  }
  static int64_t resident() noexcept {
    return in_use() + static_cast<int64_t>(runtime::g_spans.pages().bytes_free());
  }
  // What is free between objects cannot come to less than what is to be returned. What the program
  // will allocate until the next cycle stays.
  static bool may_be_many() noexcept {
    const int64_t cells = g_pacing.heap_live() - g_pacing.told_external();
    const int64_t most = in_use() - std::max(cells, g_pacing.resident_goal());
    return most > std::max(resident() / 4, kAlwaysKept);
  }
  void restart(bool returns) noexcept {
    page_ = 0;
    found_ = 0;
    returns_ = returns;
  }

  uint32_t page_ = 0;
  size_t found_ = 0;
  bool returns_ = false;
  int64_t next_ns_ = 0;
  int64_t rest_ns_ = kShortestRestNs;
};

constinit UnusedCells g_unused_cells;

}  // namespace

void return_excess_pages() noexcept {
  static int64_t returned_ns = 0;
  runtime::PageHeap& pages = runtime::g_spans.pages();
  if (pages.excess_bytes() == 0) return;
  const int64_t now = runtime::os::now_ns();
  if (now - returned_ns < kExcessPeriodNs) return;
  returned_ns = now;
  for (int64_t left = kSurplusStep; left > 0;) {
    const size_t released = pages.release_excess(static_cast<size_t>(left));
    if (released == 0) break;
    left -= static_cast<int64_t>(released);
  }
  print_trace(0, 0, false);
}

void return_surplus_pages() noexcept {
  runtime::PageHeap& pages = runtime::g_spans.pages();
  const int64_t keep = g_pacing.resident_goal() - static_cast<int64_t>(pages.bytes_in_use());
  const int64_t surplus =
      static_cast<int64_t>(pages.bytes_free()) - std::max<int64_t>(keep, kAlwaysKept);
  int64_t released = 0;
  if (surplus >= static_cast<int64_t>(runtime::os::kHugePageSize)) {
    released = static_cast<int64_t>(
        pages.scavenge(static_cast<size_t>(std::min(surplus, kSurplusStep)), true));
  }
  print_trace(released, 0, false);
}

void return_free_pages() noexcept {
  const size_t released = runtime::g_spans.pages().scavenge(SIZE_MAX, false);
  print_trace(0, static_cast<int64_t>(released), true);
}

void return_unused_cells_if_many(bool idle) noexcept { g_unused_cells.step(idle); }

void return_unused_cells(runtime::Thread& thread) noexcept {
  for (uint32_t page = 0; page < runtime::g_spans.used_end();) {
    const runtime::RuntimeScope scope(thread);
    static_cast<void>(runtime::g_spans.return_unused(page, kSpansAScope));
  }
}

}  // namespace tricolor::gc
