#include "gc/limits.h"

#include <atomic>

#include "gc/options.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/spans.h"
#include "runtime/trace_log.h"

namespace tricolor::gc {

namespace {
std::atomic<size_t> g_max_heap{0};  // relaxed: a limit, nothing is published with it
}  // namespace

size_t set_max_heap(size_t bytes) noexcept {
  return g_max_heap.exchange(bytes, std::memory_order_relaxed);
}

void return_free_pages() noexcept {
  runtime::PageHeap& pages = runtime::g_spans.pages();
  const size_t released = pages.scavenge(SIZE_MAX, false);
  if (!options().scavtrace) return;
  runtime::ScavengeTrace trace;
  trace.eager_bytes = static_cast<int64_t>(released);
  trace.total_bytes = static_cast<int64_t>(pages.bytes_released());
  const auto mapped = static_cast<int64_t>(pages.bytes_in_use() + pages.bytes_free());
  trace.utilization_percent =
      mapped == 0 ? 100 : static_cast<int64_t>(pages.bytes_in_use()) * 100 / mapped;
  trace.forced = true;
  runtime::write_line(runtime::format_scavtrace(trace));
}

}  // namespace tricolor::gc

namespace tricolor::runtime {

bool may_grow(size_t bytes) noexcept {
  const size_t most = gc::g_max_heap.load(std::memory_order_relaxed);
  return most == 0 || g_spans.pages().bytes_in_use() + bytes <= most;
}

}  // namespace tricolor::runtime
