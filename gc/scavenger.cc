#include "gc/scavenger.h"

#include <algorithm>

#include "gc/options.h"
#include "gc/pacing.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/trace_log.h"

namespace tricolor::gc {
namespace {

constexpr int64_t kSurplusStep = int64_t{16} << 20;
constexpr int64_t kAlwaysKept = int64_t{4} << 20;
constexpr int64_t kExcessPeriodNs = 100'000'000;

void print_trace(int64_t background_bytes, int64_t forced_bytes, bool forced) noexcept {
  if (!options().scavtrace) return;
  runtime::PageHeap& pages = runtime::g_spans.pages();
  runtime::ScavengeTrace trace;
  trace.background_bytes = background_bytes;
  trace.eager_bytes = forced_bytes + static_cast<int64_t>(pages.take_eagerly_released());
  if (!forced && trace.background_bytes == 0 && trace.eager_bytes == 0) return;
  const auto in_use = static_cast<int64_t>(pages.bytes_in_use());
  const int64_t resident = in_use + static_cast<int64_t>(pages.bytes_free());
  trace.total_bytes = static_cast<int64_t>(pages.bytes_released());
  trace.utilization_percent = resident == 0 ? 100 : in_use * 100 / resident;
  trace.forced = forced;
  runtime::write_line(runtime::format_scavtrace(trace));
}

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

}  // namespace tricolor::gc
