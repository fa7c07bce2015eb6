// The part of PageHeap that returns memory to the system.
//
// The system call takes microseconds to milliseconds, so it runs without the lock: the pages are
// taken out of their free run meanwhile, still counted as what they were, and given back clean.

#include <algorithm>
#include <mutex>

#include "runtime/base/bits.h"
#include "runtime/heap/page_heap.h"
#include "runtime/os/os.h"

namespace tricolor::runtime {
namespace {

// A release holds at most this many pieces: what it holds cannot be allocated meanwhile.
constexpr uint32_t kPiecesPerRelease = 16;
constexpr int64_t kReleasePollNs = 20'000;
// Free bytes that come on top of what the system refused before it is asked again.
constexpr size_t kWorthAsking = size_t{1} << 20;

}  // namespace

size_t PageHeap::scavenge(size_t max_bytes, bool whole_huge_pages_only) noexcept {
  const std::lock_guard guard(lock_);
  return scavenge_unlocking(max_bytes, whole_huge_pages_only);
}

size_t PageHeap::excess_bytes() const noexcept {
  const size_t resident = bytes_in_use() + bytes_free();
  const size_t limit = resident_limit_.load(std::memory_order_relaxed);
  return resident > limit ? resident - limit : 0;
}

size_t PageHeap::release_excess(size_t at_most) noexcept {
  if (excess_bytes() == 0) return 0;
  const std::lock_guard guard(lock_);
  return release_excess_unlocking(at_most);
}

// [pages.limit]
size_t PageHeap::release_excess_unlocking(size_t at_most) noexcept {
  const size_t limit = resident_limit_.load(std::memory_order_relaxed);
  const size_t leaving = size_t{releasing_dirty_} << kPageShift;
  const size_t resident = bytes_in_use() + bytes_free() - leaving;
  const size_t free = bytes_free() - leaving;
  kept_free_ = std::min(kept_free_, free);
  if (at_most == 0 || resident <= limit) return 0;
  if (kept_free_ != 0 && free < kept_free_ + kWorthAsking) return 0;
  const size_t released =
      scavenge_unlocking(std::min({resident - limit, at_most, kExcessSlice}), false);
  eagerly_released_.fetch_add(released, std::memory_order_relaxed);
  kept_free_ = released == 0 ? free : 0;
  return released;
}

size_t PageHeap::scavenge_unlocking(size_t max_bytes, bool whole_huge_pages_only) noexcept {
  size_t done = scavenge_whole_unlocking(max_bytes);
  if (!whole_huge_pages_only && done < max_bytes) {
    done += scavenge_parts_unlocking(max_bytes - done);
  }
  return done;
}

size_t PageHeap::scavenge_whole_unlocking(size_t max_bytes) noexcept {
  const auto worth_it = [this](uint32_t piece) noexcept {
    return pieces_[piece].free == kPagesPerPiece && pieces_[piece].dirty != 0;
  };
  size_t done = 0;
  uint32_t piece = committed_.load(std::memory_order_relaxed) / kPagesPerPiece;
  while (piece > 0 && done < max_bytes) {
    if (!worth_it(--piece)) continue;
    uint32_t pieces = 1;
    size_t bytes = size_t{pieces_[piece].dirty} << kPageShift;
    while (piece > 0 && pieces < kPiecesPerRelease && done + bytes < max_bytes &&
           worth_it(piece - 1)) {
      --piece;
      ++pieces;
      bytes += size_t{pieces_[piece].dirty} << kPageShift;
    }
    done += release_unlocking(piece * kPagesPerPiece, pieces * kPagesPerPiece);
  }
  return done;
}

size_t PageHeap::scavenge_parts_unlocking(size_t max_bytes) noexcept {
  // More than one where the system's pages are larger than ours.
  const size_t unit = std::max(os::page_size() >> kPageShift, size_t{1});
  size_t done = 0;
  uint32_t word = static_cast<uint32_t>(divide_up(committed_.load(std::memory_order_relaxed), 64));
  while (word > 0 && done < max_bytes) {
    --word;
    if (pieces_[word / kWordsPerPiece].dirty == 0) {
      word -= word % kWordsPerPiece;
      continue;
    }
    // Read again after every release: the lock was away.
    uint64_t below = ~uint64_t{0};
    while (done < max_bytes) {
      const uint64_t dirty = bits_[word].free & ~bits_[word].clean & below;
      if (dirty == 0) break;
      const unsigned last = highest_bit(dirty);
      const uint64_t holes = ~dirty & bit_range(0, last + 1);
      const unsigned first = holes == 0 ? 0 : highest_bit(holes) + 1;
      below = first == 0 ? 0 : bit_range(0, first);
      const size_t from = align_up(first, unit);
      const size_t to = align_down(last + 1, unit);
      if (from >= to) continue;
      done += release_unlocking(word * 64 + static_cast<uint32_t>(from),
                                static_cast<uint32_t>(to - from));
    }
  }
  return done;
}

size_t PageHeap::release_unlocking(uint32_t first, uint32_t count) noexcept {
  const uint32_t dirty = take_locked(run_start_locked(first), first, count);
  const uint32_t clean = count - dirty;
  releasing_dirty_ += dirty;
  releasing_clean_ += clean;
  lock_.unlock();
  const bool released = os::release(address(first), size_t{count} << kPageShift);
  lock_.lock();
  releasing_dirty_ -= dirty;
  releasing_clean_ -= clean;
  give_locked(first, count, released);
  if (!released) {
    add(dirty_, clean);
    subtract(clean_, clean);
    return 0;
  }
  add(clean_, dirty);
  subtract(dirty_, dirty);
  return size_t{dirty} << kPageShift;
}

void PageHeap::wait_for_release_unlocking() noexcept {
  lock_.unlock();
  os::sleep_ns(kReleasePollNs);
  lock_.lock();
}

void PageHeap::hold_for_fork() noexcept {
  lock_.lock();
  while (releasing_dirty_ + releasing_clean_ != 0) wait_for_release_unlocking();
}

void PageHeap::resume_after_fork() noexcept { lock_.unlock(); }

}  // namespace tricolor::runtime
