#include <algorithm>
#include <mutex>

#include "gc/collector.h"
#include "gc/dead_cells.h"
#include "gc/finalizer_thread.h"
#include "gc/open_roots.h"
#include "gc/options.h"
#include "gc/pacing.h"
#include "gc/stats.h"
#include "gc/sweep.h"
#include "gc/worklist.h"
#include "runtime/heap/allocate.h"
#include "runtime/heap/spans.h"
#include "runtime/thread.h"

#include <tricolor/runtime.hpp>

namespace tricolor::gc {

using runtime::g_heap;
using runtime::g_spans;
using runtime::g_threads;
using runtime::Kind;
using runtime::MemStats;
using runtime::Thread;

namespace {

using detail::kCacheEntries;

// Of threads that are gone; guarded by the threads' lock.
std::array<uint64_t, kCacheEntries> g_departed_handed{};

// Relaxed: counters.
std::atomic<uint64_t> g_large_objects{0};
std::atomic<uint64_t> g_large_bytes{0};

}  // namespace

void count_large(size_t bytes) noexcept {
  g_large_objects.fetch_add(1, std::memory_order_relaxed);
  g_large_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

void fill_mem_stats(MemStats& stats) {
  stats = MemStats{};
  Thread& self = Thread::attached();
  const runtime::RuntimeScope scope(self);
  runtime::lock_threads(&self);
  for (unsigned i = 0; i < kCacheEntries; ++i) {
    const unsigned cls = detail::class_at(i);
    uint64_t handed = g_departed_handed[i];
    for (const Thread* t = g_threads.first(); t != nullptr; t = t->next) {
      // [stats.add-up]
      handed += t->handed[i].load(std::memory_order_relaxed) - runtime::unused_cells(*t, i);
    }
    const uint64_t freed = g_sweeper.freed(i);
    stats.by_size[cls].size = static_cast<uint32_t>(detail::class_size(cls));
    stats.by_size[cls].mallocs += handed;
    stats.by_size[cls].frees += freed;
    stats.mallocs += handed;
    stats.frees += freed;
    stats.total_alloc += handed * detail::class_size(cls);
    stats.heap_alloc += (handed - std::min(handed, freed)) * detail::class_size(cls);
  }
  g_threads.lock().unlock();
  const uint64_t large = g_large_objects.load(std::memory_order_relaxed);
  const uint64_t large_bytes = g_large_bytes.load(std::memory_order_relaxed);
  stats.mallocs += large;
  stats.frees += g_sweeper.freed_large_objects();
  stats.total_alloc += large_bytes;
  stats.heap_alloc += large_bytes - std::min(large_bytes, g_sweeper.freed_large_bytes());
  stats.finalizer_queue = finalizer_thread().waiting();
  stats.finalizer_queue_bytes =
      static_cast<uint64_t>(g_dead_cells.bytes() + g_pacing.dead_external());
  stats.external_bytes = static_cast<uint64_t>(std::max<int64_t>(0, g_pacing.external_bytes()));
  stats.alloc = stats.heap_alloc;
  stats.heap_objects = stats.mallocs - std::min(stats.mallocs, stats.frees);

  const runtime::PageHeap& pages = g_spans.pages();
  stats.heap_inuse = pages.bytes_in_use();
  stats.heap_released = pages.bytes_released();
  stats.heap_inuse_released = std::min<uint64_t>(g_spans.returned_bytes(), stats.heap_inuse);
  stats.heap_idle = pages.bytes_free() + stats.heap_released;
  stats.heap_sys = stats.heap_inuse + stats.heap_idle;
  stats.mspan_inuse = g_spans.spans_in_use() * sizeof(runtime::Span);
  stats.gc_sys = g_heap.table_bytes() + g_worklist.bytes();
  stats.other_sys = g_threads.count() * sizeof(Thread);
  stats.sys = stats.heap_sys + stats.gc_sys + stats.other_sys;
  if (const OpenRoots* const open = open_roots()) {
    const OpenRoots::Figures traced = open->figures();
    stats.traced_inuse = static_cast<uint64_t>(traced.bytes_in_use);
    stats.traced_sys = static_cast<uint64_t>(traced.bytes_mapped);
  }
  stats.next_gc =
      g_pacing.goal() == INT64_MAX ? UINT64_MAX : static_cast<uint64_t>(g_pacing.goal());
  stats.gc_cpu_fraction = g_collector.cpu_fraction();
  stats.debug_gc = options().gctrace > 0;

  const std::lock_guard guard(g_collector.history_lock());
  const Collector::History& history = g_collector.history();
  stats.num_gc = history.cycles;
  stats.num_forced_gc = history.forced;
  stats.last_gc = static_cast<uint64_t>(history.last_end_wall_ns);
  stats.pause_total_ns = static_cast<uint64_t>(history.pause_total_ns);
  stats.pause_ns = history.pause_ns;
  stats.pause_end = history.pause_end;
  stats.stack_inuse = static_cast<uint64_t>(history.stack_bytes);
}

}  // namespace tricolor::gc

namespace tricolor::runtime {

void fold_statistics(Thread& thread) noexcept {
  for (unsigned i = 0; i < gc::detail::kCacheEntries; ++i) {
    gc::g_departed_handed[i] += thread.handed[i].exchange(0, std::memory_order_relaxed);
  }
}

}  // namespace tricolor::runtime
