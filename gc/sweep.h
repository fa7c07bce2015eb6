#pragma once

// Sweeper: turns the mark bits of a finished cycle into the free cells of the next one.
//
// [sweep.once]          a span is swept exactly once per generation: under its lock, when its generation is behind.
// [sweep.before-alloc]  no cell is handed out from an unswept span.
// [sweep.finished]      a cycle begins only when every span is swept: all marks are then clear.
// A span is swept by whoever comes first: a thread that needs cells of its class, the thread that
// owns it, or the collector in the background. No dead object is read, but for the hidden words of
// those with a destructor.
// [sweep.no-memory]     nothing here needs memory: spans wait for their sweep linked through their headers, and so do
//                       those with destructors to run, so that a cycle frees memory when there is none.
// Threads: begin(), sweep_all(): the collector. The rest: any, in a runtime section.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/span.h"

#include <tricolor/detail/size_class.hpp>

namespace tricolor::gc {

class Sweeper {
 public:
  // Moves to a new generation: every span now awaits its sweep. All threads have answered H4; under
  // the threads' lock.
  static void next_generation() noexcept;
  // Queues the spans of older generations.
  void begin() noexcept;

  // Sweeps what is left. Gives the pages swept.
  size_t sweep_all() noexcept;

  runtime::Span* next_unswept(unsigned cache_index) noexcept;

  // Cells reclaimed so far.
  uint64_t freed(unsigned cache_index) const noexcept {
    return freed_[cache_index].load(std::memory_order_relaxed);
  }
  uint64_t freed_large_objects() const noexcept {
    return freed_large_objects_.load(std::memory_order_relaxed);
  }
  uint64_t freed_large_bytes() const noexcept {
    return freed_large_bytes_.load(std::memory_order_relaxed);
  }
  void count_freed_large(size_t bytes) noexcept {
    freed_large_objects_.fetch_add(1, std::memory_order_relaxed);
    freed_large_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void count_freed_cells(unsigned cache_index, uint32_t cells) noexcept {
    freed_[cache_index].fetch_add(cells, std::memory_order_relaxed);
  }
  void count_freed(const runtime::Span& span, uint32_t cells) noexcept;

  void set_clobber(bool on) noexcept { clobber_ = on; }

  runtime::SweptSpan sweep_locked(runtime::Span& span) noexcept;

 private:
  // Linked by Span::next_unswept. Changed under `lock`; read without it (relaxed) as a hint that
  // none is left.
  struct Queue {
    std::atomic<runtime::Span*> first{nullptr};
    runtime::Lock lock{runtime::LockRank::large};
  };

  static uint64_t queue_destructors(runtime::Span& span, uint32_t word, uint64_t dead) noexcept;
  void clobber(const runtime::Span& span, uint32_t word, uint64_t dead) const noexcept;

  std::array<Queue, detail::kCacheEntries> queues_;
  runtime::Span* large_ = nullptr;  // linked likewise; the collector's own
  // Statistics: relaxed.
  std::array<std::atomic<uint64_t>, detail::kCacheEntries> freed_{};
  std::atomic<uint64_t> freed_large_objects_{0};
  std::atomic<uint64_t> freed_large_bytes_{0};
  bool clobber_ = false;
};

extern Sweeper& g_sweeper;

}  // namespace tricolor::gc
