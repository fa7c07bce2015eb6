#include "gc/workers.h"

#include <algorithm>
#include <memory>
#include <new>

#include "gc/helper_threads.h"
#include "gc/worklist.h"
#include "runtime/base/immortal.h"
#include "runtime/os/os.h"
#include "runtime/time_watch.h"

namespace tricolor::gc {

namespace {

constinit runtime::Immortal<Workers> g_the_workers;

constexpr int kNicerBy = 5;
constexpr int64_t kSliceWork = 256 << 10;

}  // namespace

Workers& g_workers = g_the_workers.value;

void Workers::init(unsigned count) noexcept {
  frames_.reset(new (std::nothrow) std::atomic<uintptr_t>[count]());
  count_ = count;
}

bool Workers::start_missing() noexcept {
  for (unsigned i = running(); i < count_; ++i) {
    if (!start_thread(
            "tc-worker", [](unsigned number) noexcept { g_workers.main_loop(number); }, i))
      return false;
    running_.store(i + 1, std::memory_order_relaxed);
  }
  return true;
}

bool Workers::has_stack_in(uintptr_t lo, uintptr_t hi) const noexcept {
  if (frames_ == nullptr) return false;
  for (unsigned i = 0; i < count_; ++i) {
    const uintptr_t frame = frames_[i].load(std::memory_order_relaxed);
    if (frame >= lo && frame < hi) return true;
  }
  return false;
}

void Workers::main_loop(unsigned number) noexcept {
  if (frames_ != nullptr) {
    frames_[number].store(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)),
                          std::memory_order_relaxed);
  }
  runtime::os::set_background_priority(kNicerBy);
  for (;;) {
    const uint32_t seen = g_worklist.wake_word();
    const int64_t cpu = runtime::os::thread_cpu_ns();
    runtime::TimeWatch* const watch = runtime::time_watch();
    const int64_t began = watch != nullptr ? runtime::os::now_ns() : 0;
    int64_t work = 0;
    {
      Marker marker;
      for (bool done = false; !done;) {
        done = marker.drain(kSliceWork);
        const MarkCounts counts = marker.take_counts();
        work += counts.scan_work;
        add(counts, true);
      }
    }
    if (watch != nullptr && work != 0)
      watch->took(runtime::Timed::kMarking, began, runtime::os::now_ns(), work, 0);
    add_cpu(runtime::os::thread_cpu_ns() - cpu);
    if (g_worklist.looks_empty()) g_worklist.wait_for_arrival(seen, -1);
  }
}

void Workers::reset() noexcept {
  scan_work_.store(0, std::memory_order_relaxed);
  marked_bytes_.store(0, std::memory_order_relaxed);
  marked_scan_bytes_.store(0, std::memory_order_relaxed);
  objects_.store(0, std::memory_order_relaxed);
  cpu_ns_.store(0, std::memory_order_relaxed);
  credit_.store(0, std::memory_order_relaxed);
}

Workers::Totals Workers::totals() const noexcept {
  Totals totals;
  totals.counts.scan_work = scan_work_.load(std::memory_order_relaxed);
  totals.counts.marked_bytes = marked_bytes_.load(std::memory_order_relaxed);
  totals.counts.marked_scan_bytes = marked_scan_bytes_.load(std::memory_order_relaxed);
  totals.counts.objects = objects_.load(std::memory_order_relaxed);
  totals.cpu_ns = cpu_ns_.load(std::memory_order_relaxed);
  return totals;
}

void Workers::add(const MarkCounts& counts, bool background) noexcept {
  scan_work_.fetch_add(counts.scan_work, std::memory_order_relaxed);
  marked_bytes_.fetch_add(counts.marked_bytes, std::memory_order_relaxed);
  marked_scan_bytes_.fetch_add(counts.marked_scan_bytes, std::memory_order_relaxed);
  objects_.fetch_add(counts.objects, std::memory_order_relaxed);
  if (background) credit_.fetch_add(counts.scan_work, std::memory_order_relaxed);
}

int64_t Workers::take_credit(int64_t wanted) noexcept {
  int64_t have = credit_.load(std::memory_order_relaxed);
  while (have > 0) {
    const int64_t taken = std::min(have, wanted);
    if (credit_.compare_exchange_weak(have, have - taken, std::memory_order_relaxed)) return taken;
  }
  return 0;
}

}  // namespace tricolor::gc
