#include "runtime/heap/page_heap.h"

#include <algorithm>
#include <bit>
#include <mutex>

#include "runtime/base/bits.h"
#include "runtime/base/check.h"
#include "runtime/os/os.h"

namespace tricolor::runtime {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kMinStep = kMiB >> kPageShift;
constexpr uint64_t kMaxStep = (64 * kMiB) >> kPageShift;
constexpr uint64_t kSmallestStep = (kMiB / 16) >> kPageShift;

// Calls act(word, mask) for the words of 64 pages that cover [first, first + count).
template <typename Act>
inline void for_each_word(uint32_t first, uint32_t count, Act&& act) noexcept {
  uint32_t word = first / 64;
  unsigned bit = first % 64;
  while (count > 0) {
    const unsigned here = std::min<uint32_t>(count, 64 - bit);
    act(word, bit_range(bit, here));
    count -= here;
    bit = 0;
    ++word;
  }
}

}  // namespace

bool PageHeap::init(char* base, size_t reserved_bytes, size_t huge_pages_from) noexcept {
  TC_CHECK(is_aligned(base, os::kHugePageSize) && is_aligned(reserved_bytes, os::kHugePageSize),
           "range %p of %zu bytes is not aligned to 2 MiB", static_cast<void*>(base),
           reserved_bytes);
  TC_CHECK(reserved_bytes <= kMaxRangeBytes, "a range of %zu bytes", reserved_bytes);
  base_ = base;
  limit_ = static_cast<uint32_t>(reserved_bytes >> kPageShift);
  huge_pages_from_ = huge_pages_from;
  if (runs_.reserve(limit_) && bits_.reserve(limit_ / 64) &&
      pieces_.reserve(limit_ / kPagesPerPiece)) {
    return true;
  }
  shutdown();
  return false;
}

void PageHeap::shutdown() noexcept {
  runs_.unmap();
  bits_.unmap();
  pieces_.unmap();
}

PageRun PageHeap::allocate(uint32_t pages, size_t most_in_use) noexcept {
  TC_DCHECK(pages > 0, "a run of no pages");
  const std::lock_guard guard(lock_);
  for (;;) {
    const size_t bytes = size_t{pages} << kPageShift;
    if (bytes > most_in_use || bytes_in_use() > most_in_use - bytes) return PageRun{};
    const PageRun run = allocate_locked(pages);
    if (run) {
      release_excess_unlocking(2 * (size_t{run.clean} << kPageShift));
      return run;
    }
    if (releasing_dirty_ + releasing_clean_ == 0) return run;
    // What is missing may be on its way to the system.
    wait_for_release_unlocking();
  }
}

PageRun PageHeap::allocate_locked(uint32_t pages) noexcept {
  // [pages.fit]
  uint32_t first = runs_.find(pages);
  if (first == RunIndex::kNone) {
    if (!grow_locked(pages)) return PageRun{};
    first = runs_.find(pages);
  }
  const uint32_t dirty = take_locked(first, first, pages);
  add(in_use_, pages);
  subtract(dirty_, dirty);
  subtract(clean_, pages - dirty);
  return PageRun{first, pages, pages - dirty, dirty == 0};  // [pages.zeroed]
}

void PageHeap::free(PageRun run) noexcept {
  const std::lock_guard guard(lock_);
  const uint32_t end = committed_.load(std::memory_order_relaxed);
  TC_CHECK(run.count > 0 && run.first < end && run.count <= end - run.first,
           "pages %u + %u are freed, %u are committed", run.first, run.count, end);
  give_locked(run.first, run.count, run.zeroed);
  subtract(in_use_, run.count);
  add(run.zeroed ? clean_ : dirty_, run.count);
}

// --- Growth --------------------------------------------------------------------------------------

bool PageHeap::grow_locked(uint32_t pages) noexcept {
  const uint64_t end = committed_.load(std::memory_order_relaxed);
  const uint32_t last_run =
      end == 0 ? RunIndex::kNone : runs_.run_ending_at(static_cast<uint32_t>(end - 1));
  const uint64_t missing = pages - (last_run == RunIndex::kNone ? 0 : end - last_run);
  if (end + missing > limit_) return false;

  // An eighth of the heap at a time, then only what is needed.
  const uint64_t step = std::clamp(std::bit_floor(end / 8), kMinStep, kMaxStep);
  const uint64_t preferred = end + std::max(missing, step);
  const uint64_t unit = (preferred << kPageShift) > huge_pages_from_ ? kPagesPerPiece : kMinStep;
  const uint64_t attempts[] = {align_up(preferred, unit), align_up(end + missing, kMinStep),
                               align_up(end + missing, kSmallestStep)};
  for (const uint64_t new_end : attempts) {
    if (commit_locked(static_cast<uint32_t>(std::min<uint64_t>(new_end, limit_)))) return true;
  }
  return false;
}

// [pages.failure] Metadata first: what of it was committed before a refusal stays, unused.
bool PageHeap::commit_locked(uint32_t new_end) noexcept {
  const uint32_t end = committed_.load(std::memory_order_relaxed);
  if (!runs_.commit_to(new_end) || !bits_.commit_to(divide_up(new_end, 64)) ||
      !pieces_.commit_to(divide_up(new_end, kPagesPerPiece))) {
    return false;
  }
  const uint32_t pages = new_end - end;
  if (!os::commit(address(end), size_t{pages} << kPageShift)) return false;

  const size_t new_end_bytes = size_t{new_end} << kPageShift;
  if (new_end_bytes > huge_pages_from_) {
    const size_t from = std::max(size_t{end} << kPageShift, huge_pages_from_);
    os::advise_huge(base_ + from, new_end_bytes - from);
  }
  committed_.store(new_end, std::memory_order_relaxed);
  add(clean_, pages);
  give_locked(end, pages, true);
  return true;
}

uint32_t PageHeap::used_end() const noexcept {
  const std::lock_guard guard(lock_);
  const uint32_t end = committed_.load(std::memory_order_relaxed);
  if (end == 0) return 0;
  const uint32_t last_run = runs_.run_ending_at(end - 1);
  return last_run == RunIndex::kNone ? end : last_run;
}

// --- Runs and bits -------------------------------------------------------------------------------

uint32_t PageHeap::take_locked(uint32_t run_first, uint32_t first, uint32_t count) noexcept {
  const uint32_t run_dirty = runs_.dirty(run_first);
  const uint32_t before = first - run_first;
  const uint32_t after = runs_.length(run_first) - before - count;
  runs_.remove(run_first);
  const uint32_t dirty = clear_bits_locked(first, count);
  const uint32_t rest_dirty = run_dirty - dirty;

  uint32_t after_dirty = 0;
  if (before == 0) {
    after_dirty = rest_dirty;
  } else if (rest_dirty != 0 && after != 0) {
    after_dirty = after <= before ? count_dirty_locked(first + count, after)
                                  : rest_dirty - count_dirty_locked(run_first, before);
  }
  if (before != 0) runs_.insert(run_first, before, rest_dirty - after_dirty);
  if (after != 0) runs_.insert(first + count, after, after_dirty);
  return dirty;
}

void PageHeap::give_locked(uint32_t first, uint32_t count, bool clean) noexcept {
  set_bits_locked(first, count, clean);
  uint32_t dirty = clean ? 0 : count;

  // [pages.maximal]
  const uint32_t end = first + count;
  if (end < committed_.load(std::memory_order_relaxed) && runs_.run_starts_at(end)) {
    count += runs_.length(end);
    dirty += runs_.dirty(end);
    runs_.remove(end);
  }
  const uint32_t left = first == 0 ? RunIndex::kNone : runs_.run_ending_at(first - 1);
  if (left != RunIndex::kNone) {
    count += first - left;
    dirty += runs_.dirty(left);
    runs_.remove(left);
    first = left;
  }
  runs_.insert(first, count, dirty);
}

uint32_t PageHeap::clear_bits_locked(uint32_t first, uint32_t count) noexcept {
  uint32_t dirty = 0;
  for_each_word(first, count, [&](uint32_t word, uint64_t mask) noexcept {
    PageBits& bits = bits_[word];
    const unsigned dirty_here = popcount(mask & ~bits.clean);
    bits.free &= ~mask;
    bits.clean &= ~mask;
    PieceCount& piece = pieces_[word / kWordsPerPiece];
    piece.free = static_cast<uint16_t>(piece.free - popcount(mask));
    piece.dirty = static_cast<uint16_t>(piece.dirty - dirty_here);
    dirty += dirty_here;
  });
  return dirty;
}

void PageHeap::set_bits_locked(uint32_t first, uint32_t count, bool clean) noexcept {
  for_each_word(first, count, [&](uint32_t word, uint64_t mask) noexcept {
    PageBits& bits = bits_[word];
    TC_CHECK((bits.free & mask) == 0, "pages %u + %u are freed, page %u is free already", first,
             count, word * 64 + lowest_bit(bits.free & mask));
    bits.free |= mask;
    if (clean) bits.clean |= mask;
    PieceCount& piece = pieces_[word / kWordsPerPiece];
    const unsigned pages = popcount(mask);
    piece.free = static_cast<uint16_t>(piece.free + pages);
    if (!clean) piece.dirty = static_cast<uint16_t>(piece.dirty + pages);
  });
}

uint32_t PageHeap::count_dirty_locked(uint32_t first, uint32_t count) const noexcept {
  uint32_t dirty = 0;
  for_each_word(first, count, [&](uint32_t word, uint64_t mask) noexcept {
    dirty += popcount(bits_[word].free & ~bits_[word].clean & mask);
  });
  return dirty;
}

uint32_t PageHeap::run_start_locked(uint32_t page) const noexcept {
  uint32_t word = page / 64;
  uint64_t used = ~bits_[word].free & bit_range(0, page % 64 + 1);
  while (used == 0) {
    // Whole free pieces are skipped at once.
    while (word % kWordsPerPiece == 0 && word != 0 &&
           pieces_[word / kWordsPerPiece - 1].free == kPagesPerPiece) {
      word -= kWordsPerPiece;
    }
    if (word == 0) return 0;
    used = ~bits_[--word].free;
  }
  return word * 64 + highest_bit(used) + 1;
}

// --- Looking at it -------------------------------------------------------------------------------

void PageHeap::describe() const noexcept {
  const std::lock_guard guard(lock_);
  report("page heap %p: %zu KiB committed of %zu MiB, %zu in use, %zu free, %zu released",
         static_cast<void*>(base_), bytes_committed() >> 10, reserved_bytes() >> 20,
         bytes_in_use() >> 10, bytes_free() >> 10, bytes_released() >> 10);
  report("page heap: %u free runs, %u + %u pages on their way to the system", runs_.count(),
         releasing_dirty_, releasing_clean_);
}

void PageHeap::check_invariants() const noexcept {
  const std::lock_guard guard(lock_);
  runs_.check_invariants();

  const uint32_t end = committed_.load(std::memory_order_relaxed);
  const auto is_free = [&](uint32_t page) { return (bits_[page / 64].free >> page % 64 & 1) != 0; };
  uint32_t runs = 0;
  uint32_t free_pages = 0;
  uint32_t dirty_pages = 0;
  for (uint32_t page = 0; page < end;) {
    if (!is_free(page)) {
      TC_CHECK(runs_.run_ending_at(page) == RunIndex::kNone, "page %u is in use and has a tag",
               page);
      ++page;
      continue;
    }
    uint32_t length = 1;
    while (page + length < end && is_free(page + length)) ++length;
    const uint32_t dirty = count_dirty_locked(page, length);
    TC_CHECK(runs_.contains(page) && runs_.length(page) == length && runs_.dirty(page) == dirty,
             "[pages.maximal] run %u: %u pages, %u dirty; index: %u, %u", page, length, dirty,
             runs_.length(page), runs_.dirty(page));
    TC_CHECK(runs_.run_ending_at(page + length - 1) == page, "[runs.tags] run %u + %u", page,
             length);
    for (uint32_t inner = page + 1; inner + 1 < page + length; ++inner) {
      TC_CHECK(!runs_.run_starts_at(inner), "[runs.tags] page %u inside run %u", inner, page);
    }
    ++runs;
    free_pages += length;
    dirty_pages += dirty;
    page += length;
  }
  TC_CHECK(runs == runs_.count(), "%u free runs, %u in the index", runs, runs_.count());

  for (uint32_t piece = 0; piece < divide_up(end, kPagesPerPiece); ++piece) {
    uint32_t piece_free = 0;
    uint32_t piece_dirty = 0;
    for (uint32_t word = piece * kWordsPerPiece; word < (piece + 1) * kWordsPerPiece; ++word) {
      if (word >= divide_up(end, 64)) break;
      const PageBits bits = bits_[word];
      TC_CHECK((bits.clean & ~bits.free) == 0, "word %u: a page in use counts as clean", word);
      piece_free += popcount(bits.free);
      piece_dirty += popcount(bits.free & ~bits.clean);
    }
    TC_CHECK(pieces_[piece].free == piece_free && pieces_[piece].dirty == piece_dirty,
             "piece %u: %u free, %u dirty; counted %u, %u", piece, pieces_[piece].free,
             pieces_[piece].dirty, piece_free, piece_dirty);
  }

  // [pages.exact]
  const uint32_t clean_pages = free_pages - dirty_pages;
  const uint32_t used_pages = end - free_pages - releasing_dirty_ - releasing_clean_;
  TC_CHECK(in_use_.load(std::memory_order_relaxed) == used_pages, "%u pages in use, counted %u",
           in_use_.load(std::memory_order_relaxed), used_pages);
  TC_CHECK(dirty_.load(std::memory_order_relaxed) == dirty_pages + releasing_dirty_,
           "%u dirty pages, counted %u", dirty_.load(std::memory_order_relaxed),
           dirty_pages + releasing_dirty_);
  TC_CHECK(clean_.load(std::memory_order_relaxed) == clean_pages + releasing_clean_,
           "%u clean pages, counted %u", clean_.load(std::memory_order_relaxed),
           clean_pages + releasing_clean_);
}

}  // namespace tricolor::runtime
