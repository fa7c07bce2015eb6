#pragma once

// DeadCells: objects that the sweep has found dead and whose destructor has still to run.
//
// They lie where they died: a bit a cell says so (Span::pending), and the spans that have such bits
// form a queue. So the sweep needs no memory to queue them, and destroying goes cell by cell
// through memory and gives back a word of cells at a time.
//
// [dead.queued]   a span with pending bits is in the queue or being worked on, once; bits that come meanwhile are
//                 worked on too. `queued` falls under the span's lock together with its last bit: from then on the
//                 span may go.
// [dead.once]     a cell's bit leaves `left_` and its TypeInfo word is cleared before its destructor begins: neither a
//                 sweep nor the child of a fork() runs it again.
// Queued cells are no roots, and nobody follows what they refer to.
// Threads: add(): any, under the span's lock. run(): one at a time (FinalizerThread sees to it). Figures: any.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/heap/span.h"

namespace tricolor::runtime {
class Thread;
}

namespace tricolor::gc {

class DeadCells {
 public:
  // Pending bits of `cells` more cells of the span have been set.
  void add(runtime::Span& span, uint32_t cells) noexcept;

  // Runs up to `most` destructors of one word of cells, fewer when `stop` becomes true; gives how
  // many. 0 with nothing waiting.
  size_t run(runtime::Thread& thread, size_t most, const std::atomic<bool>& stop) noexcept;

  // Figures of what waits: relaxed.
  int64_t cells() const noexcept {
    return cells_.load(std::memory_order_relaxed) +
           std::popcount(left_.load(std::memory_order_relaxed));
  }
  // Of the word being worked on: changes as destructors run.
  int64_t begun() const noexcept {
    return 64 - std::popcount(left_.load(std::memory_order_relaxed));
  }
  int64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  bool empty() const noexcept { return cells() == 0 && !orphaned_.load(std::memory_order_relaxed); }

  // In the child of fork(): the thread that worked on a word is gone. The word is given back by the
  // next run(), also when all its destructors have begun.
  void orphan() noexcept { orphaned_.store(taken_ != 0, std::memory_order_relaxed); }

  // Spans queued so far; the number of done ones reaches that when what was queued by then has run.
  uint64_t queued() const noexcept { return queued_.load(std::memory_order_acquire); }
  uint64_t done() const noexcept { return done_.load(std::memory_order_acquire); }

 private:
  bool take_word() noexcept;
  size_t run_word(size_t most, const std::atomic<bool>& stop) noexcept;
  void free_word(runtime::Thread& thread) noexcept;

  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_.
  runtime::Span* first_ = nullptr;
  runtime::Span* last_ = nullptr;
  // The word being worked on: its cells, and which of them have not been begun. Written by whoever
  // runs, and where that thread is gone after fork() read by the next (relaxed).
  runtime::Span* span_ = nullptr;
  uint32_t word_ = 0;
  uint64_t taken_ = 0;
  std::atomic<uint64_t> left_{0};
  std::atomic<bool> orphaned_{false};  // relaxed: set before the child has other threads
  // Relaxed: amounts. Cells are taken off with their word, its bytes when it is given back.
  std::atomic<int64_t> cells_{0};
  std::atomic<int64_t> bytes_{0};
  // Release, read (acquire) by who waits until they are equal.
  std::atomic<uint64_t> queued_{0};
  std::atomic<uint64_t> done_{0};
};

// Of the whole process.
extern DeadCells& g_dead_cells;

}  // namespace tricolor::gc
