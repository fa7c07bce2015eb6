#pragma once

// Ranges: memory of others that the collector reads as it reads a stack: in every stop.
//
// Places for ranges lie in slabs that are never given back, so that the collector reads them all
// without a lock while threads stand. A place is taken and given in constant time.
//
// [ranges.place]  `hi` is stored before `lo` makes the range seen, and `lo` is cleared first; both by the owner or
//                 under the lock.
// Threads: add, remove: any. for_each: the collector, in a stop.

#include <atomic>
#include <cstddef>

#include "runtime/base/lock.h"

namespace tricolor::traced {

class Ranges {
 public:
  struct Range {
    std::atomic<const char*> lo;  // nullptr: free
    std::atomic<const char*> hi;
    Range* next_free;
  };

  Range* add(const char* lo, const char* hi);  // std::bad_alloc
  void remove(Range& range) noexcept;
  bool contains(const void* address) const noexcept;

  template <class Visit>
  void for_each(Visit visit) const noexcept;
  runtime::Lock& lock() noexcept { return lock_; }

 private:
  static constexpr size_t kSlabRanges = 4095;
  struct Slab {
    Slab* next;
    Range ranges[kSlabRanges];
  };

  runtime::Lock lock_{runtime::LockRank::traced_cells};
  Range* free_ = nullptr;  // guarded by lock_
  // Stored under lock_ (release), walked by the collector (acquire).
  std::atomic<Slab*> slabs_{nullptr};
};

extern Ranges g_ranges;

template <class Visit>
void Ranges::for_each(Visit visit) const noexcept {
  for (const Slab* slab = slabs_.load(std::memory_order_acquire); slab != nullptr;
       slab = slab->next) {
    for (const Range& range : slab->ranges) {
      const char* const lo = range.lo.load(std::memory_order_acquire);
      if (lo != nullptr) visit(lo, range.hi.load(std::memory_order_relaxed));
    }
  }
}

}  // namespace tricolor::traced
