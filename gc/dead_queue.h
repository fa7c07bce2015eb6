#pragma once

// DeadQueue: dead objects whose destructors have still to run.
//
// Needs no memory ([sweep.no-memory]): an object is a bit in the second half of its span's
// `pending`, and the spans that have such bits are linked through their headers. Spans come in
// order of arrival, their cells by address.
//
// [dead.listed]  under its lock, a span is in the list exactly while it has bits; it keeps its pages meanwhile, for
//                the cells are in use.
// [dead.turns]   spans leave the list in the order in which they came to it, so whoever waits for the objects that are
//                queued waits for as many spans; those that die later in a listed span have their turn with it.
// Threads: any, in a runtime section. add(), list(): under the span's lock; take(): under no lock, one at a time.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/lock.h"
#include "runtime/heap/span.h"

namespace tricolor::gc {

class DeadQueue {
 public:
  // `cells` of the word are dead: their destructors are to run. Under span.lock.
  static void add(runtime::Span& span, uint32_t word, uint64_t cells) noexcept;
  // After add(). Under span.lock.
  void list(runtime::Span& span) noexcept;

  struct Taken {
    size_t objects = 0;
    uint64_t spans = 0;  // that are through with them
  };
  // ~address of each object taken; none when none is left.
  Taken take(std::span<uintptr_t> hidden) noexcept;

  // Turns in all so far, and how many of them are over.
  uint64_t listed() const noexcept { return listed_.load(std::memory_order_acquire); }
  uint64_t taken() const noexcept { return taken_.load(std::memory_order_acquire); }

 private:
  runtime::Span* first() noexcept;
  void remove_first() noexcept;

  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_, as are next_dead and dead_listed of the spans.
  runtime::Span* first_ = nullptr;
  runtime::Span* last_ = nullptr;
  // Counts of turns, added to (release) by list() and take(), read (acquire) to tell whether there
  // is work and what to wait for.
  std::atomic<uint64_t> listed_{0};
  std::atomic<uint64_t> taken_{0};
};

}  // namespace tricolor::gc
