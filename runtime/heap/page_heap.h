#pragma once

// PageHeap: gives out runs of 8 KiB pages of one reserved range, and takes them back.
//
// Page numbers count from the base of the range. Every committed page is in use, free and dirty
// (resident), or free and clean (never touched or returned to the system: reads as zero).
//
// [pages.maximal]   neighbouring free pages are one run, whatever their state: no two free runs
//                   touch.
// [pages.exact]     cleanness is a bit per page, not per run, so merging loses nothing, and in use,
//                   free and released bytes add up to the committed ones.
//                   (With huge pages a clean page can be resident because a neighbour was touched.)
// [pages.zeroed]    a run is given out as `zeroed` only if every page of it is clean.
// [pages.fit]       best fit, lowest address first; of the same fit, a run with resident pages
//                   before a clean one. The heap grows, upwards, only when no free run is long
//                   enough.
// [pages.limit]     an allocation that brings the resident bytes, in use and free, over a limit returns
//                   free pages in exchange: up to twice what it took of clean ones, in slices of up to 8 MiB.
//                   allocate() returns the first slice, release_excess() one more.
// [pages.failure]   a refused commit, of memory or of metadata, leaves everything as it was.
//
// Threads: any, all functions, after init() has returned. One lock, LockRank::page_heap, is held
// for well under a microsecond, by growth for some microseconds; returning memory to the system
// happens outside it. Not for signal handlers.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/heap/run_index.h"

namespace tricolor::runtime {

inline constexpr size_t kPageShift = 13;
inline constexpr size_t kPageSize = size_t{1} << kPageShift;

struct PageRun {
  uint32_t first = 0;
  uint32_t count = 0;   // 0: no memory
  uint32_t clean = 0;   // pages of it that were not resident, as it was given out
  bool zeroed = false;  // every byte is zero (and the memory not resident yet)

  explicit operator bool() const noexcept { return count != 0; }
};

class PageHeap {
 public:
  // Up to here the heap does without huge pages: a small program stays small. Where memory is lent
  // (os::memory_is_lent) the first touch of one stops its thread for milliseconds, which is worth it
  // only for a heap that misses the TLB most of the time.
  static constexpr size_t kHugePagesFrom = size_t{16} << 20;
  static constexpr size_t kLentHugePagesFrom = size_t{512} << 20;
  static constexpr size_t kNoHugePages = ~size_t{0};
  static constexpr size_t kMaxRangeBytes = size_t{1} << 44;
  // [pages.limit] An allocation answers no handshake while it returns pages, 1 to 3 us for each piece.
  static constexpr size_t kExcessSlice = size_t{8} << 20;

  constexpr PageHeap() noexcept = default;
  PageHeap(const PageHeap&) = delete;
  PageHeap& operator=(const PageHeap&) = delete;

  // `base` is reserved address space (os::reserve), aligned to 2 MiB; `reserved_bytes` a multiple
  // of 2 MiB, up to 16 TiB. Huge pages are asked for in memory that lies `huge_pages_from` or more
  // above base. False when there is no address space for the metadata. Before any other function.
  [[nodiscard]] bool init(char* base, size_t reserved_bytes,
                          size_t huge_pages_from = kHugePagesFrom) noexcept;

  // Gives the metadata back (not the range). For tests; no other call may be running or follow.
  void shutdown() noexcept;

  // `pages` consecutive pages, pages > 0; count == 0 when there is no memory, or more than
  // `most_in_use` bytes would be in use.
  [[nodiscard]] PageRun allocate(uint32_t pages, size_t most_in_use = SIZE_MAX) noexcept;

  // Takes back pages that are in use: what allocate() gave, or any part of it. run.zeroed says that
  // the caller never touched them since they came zeroed.
  void free(PageRun run) noexcept;

  // Returns free resident pages to the system, whole aligned 2 MiB pieces from the highest address
  // down, then, unless `whole_huge_pages_only`, smaller ones, until about `max_bytes` have gone
  // (less than 2 MiB more). Gives the bytes returned.
  size_t scavenge(size_t max_bytes, bool whole_huge_pages_only) noexcept;

  // [pages.limit] SIZE_MAX, the value at the start, for none.
  void set_resident_limit(size_t bytes) noexcept {
    resident_limit_.store(bytes, std::memory_order_relaxed);
  }
  // How many bytes more are resident than that, in use and free.
  size_t excess_bytes() const noexcept;
  // Returns free pages while there are more, `at_most` bytes and no more than a slice. Gives the
  // bytes.
  size_t release_excess(size_t at_most) noexcept;
  // Bytes returned because of it since the last call.
  size_t take_eagerly_released() noexcept {
    return eagerly_released_.exchange(0, std::memory_order_relaxed);
  }

  // Each is exact by itself; between two calls other threads may have moved bytes. Lock-free.
  size_t bytes_in_use() const noexcept { return bytes(in_use_); }
  size_t bytes_free() const noexcept { return bytes(dirty_); }      // free and resident
  size_t bytes_released() const noexcept { return bytes(clean_); }  // free, not resident
  size_t bytes_committed() const noexcept { return bytes(committed_); }

  // All pages in use have numbers below this one; the pages above are free or not committed.
  uint32_t used_end() const noexcept;

  char* base() const noexcept { return base_; }
  size_t reserved_bytes() const noexcept { return size_t{limit_} << kPageShift; }
  char* address(uint32_t page) const noexcept { return base_ + (size_t{page} << kPageShift); }
  uint32_t page_of(const void* address) const noexcept {
    return static_cast<uint32_t>((static_cast<const char*>(address) - base_) >> kPageShift);
  }

  // Around fork(): after hold_for_fork() no page is on its way to the system and no other thread is
  // inside; parent and child each call resume_after_fork().
  void hold_for_fork() noexcept;
  void resume_after_fork() noexcept;

  // Walks everything; aborts with what was expected and what was found.
  void check_invariants() const noexcept;
  // A few lines on standard error.
  void describe() const noexcept;

 private:
  // A piece is an aligned 2 MiB: one huge page.
  static constexpr uint32_t kPagesPerPiece = 256;
  static constexpr uint32_t kWordsPerPiece = kPagesPerPiece / 64;

  // 64 pages. A clean page is a free page.
  struct PageBits {
    uint64_t free;
    uint64_t clean;
  };
  // Free pages of one 2 MiB piece: what scavenge() looks for, without walking runs.
  struct PieceCount {
    uint16_t free;
    uint16_t dirty;
  };

  static size_t bytes(const std::atomic<uint32_t>& pages) noexcept {
    return size_t{pages.load(std::memory_order_relaxed)} << kPageShift;
  }

  // The totals have one writer at a time, the holder of the lock.
  static void add(std::atomic<uint32_t>& total, uint32_t pages) noexcept {
    total.store(total.load(std::memory_order_relaxed) + pages, std::memory_order_relaxed);
  }
  static void subtract(std::atomic<uint32_t>& total, uint32_t pages) noexcept {
    total.store(total.load(std::memory_order_relaxed) - pages, std::memory_order_relaxed);
  }

  PageRun allocate_locked(uint32_t pages) noexcept;
  bool grow_locked(uint32_t pages) noexcept;
  bool commit_locked(uint32_t new_end) noexcept;

  // Pages out of the free run at run_first, and into a free run. They move bits, tags and piece
  // counts; the totals are the caller's. take_locked() gives the number of dirty pages it took.
  uint32_t take_locked(uint32_t run_first, uint32_t first, uint32_t count) noexcept;
  void give_locked(uint32_t first, uint32_t count, bool clean) noexcept;

  uint32_t clear_bits_locked(uint32_t first, uint32_t count) noexcept;
  void set_bits_locked(uint32_t first, uint32_t count, bool clean) noexcept;
  uint32_t count_dirty_locked(uint32_t first, uint32_t count) const noexcept;
  uint32_t run_start_locked(uint32_t page) const noexcept;

  // In page_release.cc. Bytes returned to the system; the lock is held on entry and on return, but
  // not in between.
  size_t scavenge_unlocking(size_t max_bytes, bool whole_huge_pages_only) noexcept;
  size_t release_excess_unlocking(size_t at_most) noexcept;
  size_t release_unlocking(uint32_t first, uint32_t count) noexcept;
  size_t scavenge_whole_unlocking(size_t max_bytes) noexcept;
  size_t scavenge_parts_unlocking(size_t max_bytes) noexcept;
  void wait_for_release_unlocking() noexcept;

  mutable Lock lock_{LockRank::page_heap};

  // Set by init(), constant afterwards.
  char* base_ = nullptr;
  uint32_t limit_ = 0;  // pages in the range
  size_t huge_pages_from_ = kHugePagesFrom;

  // Guarded by lock_.
  RunIndex runs_;
  SideTable<PageBits> bits_;
  SideTable<PieceCount> pieces_;
  uint32_t releasing_dirty_ = 0;  // pages that release_unlocking() holds: still counted
  uint32_t releasing_clean_ = 0;  // in dirty_ and clean_, but in no run
  size_t kept_free_ = 0;          // [pages.limit] the system takes none of so many free bytes

  // Relaxed: amounts that steer, and are reported.
  std::atomic<size_t> resident_limit_{SIZE_MAX};
  std::atomic<size_t> eagerly_released_{0};

  // In pages. Written under lock_, read relaxed by anybody: statistics, a stale value is harmless.
  std::atomic<uint32_t> in_use_{0};
  std::atomic<uint32_t> dirty_{0};
  std::atomic<uint32_t> clean_{0};
  std::atomic<uint32_t> committed_{0};
};

}  // namespace tricolor::runtime
