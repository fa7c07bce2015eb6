#include "observe/metrics.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>
#include <vector>

namespace tricolor::observe {

namespace {

using runtime::MemStats;

constexpr double kNsPerSecond = 1e9;

std::string number(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

std::string seconds(uint64_t ns) { return number(static_cast<double>(ns) / kNsPerSecond); }

// `name` without its prefix. A unit is part of it, and "_total" of what only grows.
void begin(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out.append("# HELP tricolor_").append(name).append(" ").append(help).append("\n");
  out.append("# TYPE tricolor_").append(name).append(" ").append(type).append("\n");
}

void sample(std::string& out, std::string_view name, std::string_view labels,
            std::string_view value) {
  out.append("tricolor_").append(name).append(labels).append(" ").append(value).append("\n");
}

void metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            std::string_view value) {
  begin(out, name, type, help);
  sample(out, name, {}, value);
}

struct Figure {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  uint64_t MemStats::*value;
};

constexpr Figure kFigures[] = {
    {"allocated_bytes_total", "counter", "Bytes of objects allocated so far.",
     &MemStats::total_alloc},
    {"mallocs_total", "counter", "Objects allocated so far.", &MemStats::mallocs},
    {"frees_total", "counter", "Objects reclaimed so far.", &MemStats::frees},
    {"alloc_bytes", "gauge", "The same as tricolor_heap_alloc_bytes.", &MemStats::alloc},
    {"sys_bytes", "gauge", "Bytes of address space committed by the library.", &MemStats::sys},
    {"heap_alloc_bytes", "gauge", "Bytes of objects, reachable or not yet reclaimed.",
     &MemStats::heap_alloc},
    {"heap_sys_bytes", "gauge", "Bytes of address space committed for the heap.",
     &MemStats::heap_sys},
    {"heap_idle_bytes", "gauge", "Bytes in free pages of the heap.", &MemStats::heap_idle},
    {"heap_inuse_bytes", "gauge", "Bytes in spans of the heap.", &MemStats::heap_inuse},
    {"heap_released_bytes", "gauge", "Bytes of free pages that were returned to the system.",
     &MemStats::heap_released},
    {"heap_inuse_released_bytes", "gauge",
     "Bytes in spans of the heap that were returned to the system.",
     &MemStats::heap_inuse_released},
    {"heap_objects", "gauge", "Objects, reachable or not yet reclaimed.", &MemStats::heap_objects},
    {"stack_inuse_bytes", "gauge", "Bytes of the stacks that the last cycle scanned.",
     &MemStats::stack_inuse},
    {"mspan_inuse_bytes", "gauge", "Bytes of span headers in use.", &MemStats::mspan_inuse},
    {"gc_sys_bytes", "gauge", "Bytes of bitmaps, tables and mark queues.", &MemStats::gc_sys},
    {"other_sys_bytes", "gauge", "Bytes of the records of attached threads.", &MemStats::other_sys},
    {"traced_inuse_bytes", "gauge", "Bytes of traced memory in use (not in sys_bytes).",
     &MemStats::traced_inuse},
    {"traced_sys_bytes", "gauge", "Bytes of address space for traced memory.",
     &MemStats::traced_sys},
    {"finalizer_queue_tasks", "gauge", "Destructors, finalizers and cleanups that wait to be run.",
     &MemStats::finalizer_queue},
    {"finalizer_queue_bytes", "gauge",
     "Bytes of dead objects that wait for these, with what they own outside.",
     &MemStats::finalizer_queue_bytes},
    {"external_bytes", "gauge", "Bytes outside of the heap, as told by adjust_external_memory.",
     &MemStats::external_bytes},
};

// Over the cycles that MemStats remembers. A histogram would have to count all there ever were.
void add_pauses(std::string& out, const MemStats& stats) {
  begin(out, "gc_pause_seconds", "summary",
        "Longest handshake of a cycle; quantiles over the last 256 cycles.");
  const size_t known = std::min<size_t>(stats.num_gc, stats.pause_ns.size());
  std::vector<uint64_t> pauses(stats.pause_ns.begin(),
                               stats.pause_ns.begin() + static_cast<std::ptrdiff_t>(known));
  std::sort(pauses.begin(), pauses.end());
  for (const double quantile : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    std::string value = "NaN";
    if (known != 0) {
      const auto at = static_cast<size_t>(quantile * static_cast<double>(known - 1) + 0.5);
      value = seconds(pauses[at]);
    }
    sample(out, "gc_pause_seconds", "{quantile=\"" + number(quantile) + "\"}", value);
  }
  sample(out, "gc_pause_seconds_sum", {}, seconds(stats.pause_total_ns));
  sample(out, "gc_pause_seconds_count", {}, std::to_string(stats.num_gc));
}

void add_sizes(std::string& out, std::string_view name, std::string_view help,
               const MemStats& stats, uint64_t runtime::SizeStats::*value) {
  begin(out, name, "counter", help);
  for (size_t i = 1; i < stats.by_size.size(); ++i) {
    const runtime::SizeStats& size = stats.by_size[i];
    if (size.size == 0) continue;
    sample(out, name, "{size=\"" + std::to_string(size.size) + "\"}", std::to_string(size.*value));
  }
}

}  // namespace

std::string metrics_text(const MemStats& stats) {
  std::string out;
  for (const Figure& figure : kFigures)
    metric(out, figure.name, figure.type, figure.help, std::to_string(stats.*figure.value));
  metric(out, "next_gc_bytes", "gauge", "Heap at which the next cycle is to have ended.",
         stats.next_gc == UINT64_MAX ? "+Inf" : std::to_string(stats.next_gc));
  metric(out, "last_gc_timestamp_seconds", "gauge", "End of the last cycle, in seconds since 1970.",
         seconds(stats.last_gc));
  metric(out, "gc_cycles_total", "counter", "Cycles so far.", std::to_string(stats.num_gc));
  metric(out, "gc_forced_cycles_total", "counter", "Cycles that the program asked for.",
         std::to_string(stats.num_forced_gc));
  add_pauses(out, stats);
  metric(out, "gc_cpu_ratio", "gauge",
         "Share of the processor time since the start that the collector used.",
         number(stats.gc_cpu_fraction));
  metric(out, "gc_enabled", "gauge", "1 where the collector may start cycles by itself.",
         stats.enable_gc ? "1" : "0");
  metric(out, "gc_debug", "gauge", "As MemStats::debug_gc.", stats.debug_gc ? "1" : "0");
  add_sizes(out, "size_class_mallocs_total",
            "Objects allocated so far, by the size of their cells.", stats,
            &runtime::SizeStats::mallocs);
  add_sizes(out, "size_class_frees_total", "Objects reclaimed so far, by the size of their cells.",
            stats, &runtime::SizeStats::frees);
  return out;
}

std::string metrics_text() {
  const auto stats = std::make_unique<MemStats>();
  runtime::read_mem_stats(*stats);
  return metrics_text(*stats);
}

}  // namespace tricolor::observe
