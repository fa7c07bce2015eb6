#include "runtime/heap/allocate.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>

#include "runtime/base/check.h"
#include "runtime/base/thread_order.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/heap/central.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"
#include "runtime/time_watch.h"

#include <tricolor/detail/layout.hpp>

namespace tricolor::runtime {

constinit AllocationWatch* g_allocation_watch = nullptr;
constinit bool g_hands_out_singly = false;

namespace {

using gc::detail::load_word;
using gc::detail::store_word;

// At most this much is handed out at a time, so that a thread that allocates one large cell does
// not hold 64.
constexpr size_t kHandoutBytes = size_t{32} << 10;

uint64_t lowest_bits(uint64_t bits, unsigned count) noexcept {
  uint64_t taken = 0;
  for (; count > 0 && bits != 0; --count) {
    taken |= bits & -bits;
    bits &= bits - 1;
  }
  return taken;
}

void mark_cells(const Span& span, uint32_t word, uint64_t cells) noexcept {
  __atomic_fetch_or(g_heap.mark_words(span) + word, cells, __ATOMIC_RELAXED);
}

void zero_cells(const Span& span, uint32_t word, uint64_t cells) noexcept {
  for (; cells != 0; cells &= cells - 1) {
    std::memset(
        g_heap.cell_address(span, word * 64 + static_cast<uint32_t>(std::countr_zero(cells))), 0,
        span.cell_size);
  }
}

// What a cell held in another life must not read as a destructor. Its line is written to anyhow as
// the cell is given out.
void clear_hidden_words(const Span& span, uint32_t word, uint64_t cells) noexcept {
  char* const first = g_heap.cell_address(span, word * 64);
  for (; cells != 0; cells &= cells - 1) {
    char* const cell = first + static_cast<size_t>(std::countr_zero(cells)) * span.cell_size;
    store_word(gc::detail::hidden_word(cell, span.cell_size, 1), static_cast<void*>(nullptr));
  }
}

// How many cells of `size` bytes may be handed out at a time; `sampled`: it is one, and holds the
// sampled byte. [watch.samples] [watch.types]
unsigned most_cells(const Thread& thread, size_t size, bool& sampled) noexcept {
  sampled = thread.until_sample < static_cast<int64_t>(size);
  if (sampled || g_hands_out_singly) return 1;
  const size_t most = std::min(kHandoutBytes, static_cast<size_t>(thread.until_sample)) / size;
  return static_cast<unsigned>(std::clamp<size_t>(most, 1, 64));
}

struct Handout {
  size_t bytes = 0;
  bool sampled = false;
};

// Hands the next free cells of `span` to `thread`. False when there are none left. Under span.lock.
bool take_word_locked(Thread& thread, unsigned cache_index, Span& span, Handout& handout) noexcept {
  // [sweep.before-alloc]
  if (sweep_locked(span).swept) span.cursor = 0;
  // One generation decides both whether the span is swept and what colour its cells get.
  const uint32_t generation = span.generation.load(std::memory_order_relaxed);
  uint64_t* const alloc = g_heap.alloc_words(span);
  for (const uint32_t words = span.words(); span.cursor < words; ++span.cursor) {
    const uint32_t w = span.cursor;
    const uint64_t before = __atomic_load_n(alloc + w, __ATOMIC_RELAXED);
    if (before == ~uint64_t{0}) continue;
    uint64_t taken = ~before;
    const unsigned most = most_cells(thread, span.cell_size, handout.sampled);
    if (most < 64) taken = lowest_bits(taken, most);
    __atomic_store_n(alloc + w, before | taken, __ATOMIC_RELAXED);
    unpoison_cells(span, w, taken);
    g_spans.note_handed_out(span, w, taken);
    if (span.kind == Kind::kDestructor) clear_hidden_words(span, w, taken);
    if (__builtin_expect(zero_early(), 0)) zero_cells(span, w, taken);
    if (allocates_black(thread, generation)) mark_cells(span, w, taken);  // [alloc.black]
    CacheEntry& entry = thread.cache[cache_index];
    store_word(entry.base, g_heap.cell_address(span, w * 64));
    store_word(entry.free, taken);
    const auto count = static_cast<unsigned>(std::popcount(taken));
    std::atomic<uint64_t>& handed = thread.handed[cache_index];
    handed.store(handed.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    handout.bytes = count * span.cell_size;
    thread.until_sample -= static_cast<int64_t>(handout.bytes);
    return true;
  }
  return false;
}

// Fills the thread's cache entry. False when memory is gone.
bool refill(Thread& thread, unsigned cache_index, bool& sampled) noexcept {
  Span*& span = thread.spans[cache_index];
  Handout handout;
  for (;;) {
    if (span != nullptr) {
      bool taken;
      {
        // [span.lock]
        const std::lock_guard guard(span->lock);
        taken = take_word_locked(thread, cache_index, *span, handout);
      }
      if (taken) break;
      Span* const exhausted = span;
      span = nullptr;
      g_central.release(cache_index, *exhausted);
    }
    Span* const fresh = g_central.acquire(cache_index);
    if (fresh == nullptr) return false;
    fresh->cursor = 0;
    span = fresh;
  }
  charge_allocation(thread, handout.bytes, span->kind);
  sampled = handout.sampled;
  return true;
}

void* pop_cell(Thread& thread, unsigned cache_index) noexcept {
  CacheEntry& entry = thread.cache[cache_index];
  char* cell = entry.base + static_cast<size_t>(std::countr_zero(entry.free)) *
                                gc::detail::class_size(gc::detail::class_at(cache_index));
  asm volatile("" : "+r"(cell));  // [alloc.address-first]
  store_word(entry.free, entry.free & (entry.free - 1));
  return cell;
}

void return_unused(Thread& thread, unsigned cache_index, Span& span) noexcept {
  CacheEntry& entry = thread.cache[cache_index];
  const uint64_t unused = entry.free;
  if (unused == 0) return;
  const std::lock_guard guard(span.lock);
  sweep_locked(span);
  const uint32_t w = static_cast<uint32_t>(entry.base - g_heap.cell_address(span, 0)) /
                     static_cast<uint32_t>(span.cell_size) / 64;
  store_word(entry.free, uint64_t{0});
  poison_cells(span, w, unused);
  uint64_t* const alloc = g_heap.alloc_words(span) + w;
  __atomic_store_n(alloc, __atomic_load_n(alloc, __ATOMIC_RELAXED) & ~unused, __ATOMIC_RELAXED);
  __atomic_fetch_and(g_heap.mark_words(span) + w, ~unused, __ATOMIC_RELAXED);
  std::atomic<uint64_t>& handed = thread.handed[cache_index];
  handed.store(
      handed.load(std::memory_order_relaxed) - static_cast<uint64_t>(std::popcount(unused)),
      std::memory_order_relaxed);
}

}  // namespace

void return_cells(Thread& thread) noexcept {
  for (unsigned i = 0; i < kCacheEntries; ++i) {
    Span* const span = thread.spans[i];
    if (span == nullptr) continue;
    return_unused(thread, i, *span);
    thread.spans[i] = nullptr;
    g_central.release(i, *span);
  }
}

void mark_unused_cells(Thread& thread) noexcept {
  for (unsigned i = 0; i < kCacheEntries; ++i) {
    const CacheEntry& entry = thread.cache[i];
    const uint64_t unused = load_word(entry.free);
    if (unused == 0) continue;
    const Cell first = g_heap.find(entry.base);
    __atomic_fetch_or(g_heap.mark_words(*first.span) + first.index / 64, unused, __ATOMIC_RELAXED);
  }
}

void free_cell(Thread& thread, Span& span, uint32_t index) noexcept {
  const unsigned cache_index = span.cache_index();
  const uint64_t bit = uint64_t{1} << (index % 64);
  if (zero_early()) {
    unpoison_cells(span, index / 64, bit);
    zero_cells(span, index / 64, bit);
  }
  poison_cells(span, index / 64, bit);
  CacheEntry& entry = thread.cache[cache_index];
  // The word this thread is handing out: the cell is its next one. Its alloc bit stays. Handed out
  // anew, it is counted anew. [watch.samples] [watch.types]
  const auto size = static_cast<int64_t>(span.cell_size);
  if (thread.spans[cache_index] == &span &&
      entry.base == g_heap.cell_address(span, index / 64 * 64) && thread.until_sample >= size &&
      !g_hands_out_singly && !poisons()) {
    thread.until_sample -= size;
    store_word(entry.free, entry.free | bit);
    std::atomic<uint64_t>& handed = thread.handed[cache_index];
    handed.store(handed.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return;
  }
  {
    const std::lock_guard guard(span.lock);
    sweep_locked(span);
    uint64_t* const alloc = g_heap.alloc_words(span) + index / 64;
    __atomic_store_n(alloc, __atomic_load_n(alloc, __ATOMIC_RELAXED) & ~bit, __ATOMIC_RELAXED);
  }
  g_central.note_returned_cells(cache_index, span);
}

bool is_unused(Cell cell) noexcept {
  if (cell.span->is_large()) return false;
  const unsigned cache_index = cell.span->cache_index();
  const char* const base = g_heap.cell_address(*cell.span, cell.index / 64 * 64);
  lock_threads(Thread::current());
  bool unused = false;
  for (const Thread* t = g_threads.first(); t != nullptr && !unused; t = t->next) {
    const CacheEntry& entry = t->cache[cache_index];
    unused = load_word(entry.base) == base && (load_word(entry.free) >> (cell.index % 64) & 1) != 0;
  }
  g_threads.lock().unlock();
  return unused;
}

uint32_t unused_cells(const Thread& thread, unsigned cache_index) noexcept {
  return static_cast<uint32_t>(std::popcount(load_word(thread.cache[cache_index].free)));
}

}  // namespace tricolor::runtime

namespace tricolor::gc::detail {

using runtime::RuntimeScope;
using runtime::Span;
using runtime::Thread;

// What taking a sample leaves below would be found in frames to come, and keep alive just what is
// watched.
TRICOLOR_ALLOCATOR __attribute__((noinline)) static void clear_frames_below() noexcept {
  char below[2048];
  std::memset(below, 0, sizeof below);
  asm volatile("" : : "r"(below) : "memory");
}

// [watch.samples] The object is on the stack of this, and so stays.
TRICOLOR_ALLOCATOR static void tell_of_sample(Thread& thread, const void* object, std::size_t size,
                                              const TypeInfo* type) noexcept {
  thread.until_sample = runtime::g_allocation_watch->next_sample(thread);
  runtime::g_allocation_watch->sampled(thread, object, size, type);
  clear_frames_below();
}

namespace {

// What somebody who watches wants to know of an allocation.
class WatchedAllocation {
 public:
  WatchedAllocation() noexcept
      : watch_(runtime::time_watch()), begin_ns_(watch_ != nullptr ? runtime::os::now_ns() : 0) {}
  void end(std::size_t bytes) const noexcept {
    if (__builtin_expect(watch_ != nullptr, 0))
      watch_->allocated(begin_ns_, static_cast<std::int64_t>(bytes));
  }

 private:
  runtime::TimeWatch* const watch_;
  const std::int64_t begin_ns_;
};

}  // namespace

TRICOLOR_ALLOCATOR void* allocate_slow(unsigned cache_index, const TypeInfo* type) {
  Thread& thread = Thread::attached();
  const WatchedAllocation watched;
  // [handshake.aside] before it takes locks that others need in order to answer
  if (thread.is_asked()) thread.answer_here();
  for (unsigned attempt = 0;; ++attempt) {
    void* cell = nullptr;
    bool sampled = false;
    {
      const RuntimeScope scope(thread);
      if (load_word(thread.cache[cache_index].free) != 0 ||
          runtime::refill(thread, cache_index, sampled)) {
        cell = runtime::pop_cell(thread, cache_index);
        if (runtime::g_hands_out_singly) runtime::g_allocation_watch->note_type(cell, type);
      }
    }
    if (cell != nullptr) {
      runtime::learn_order();
      watched.end(class_size(class_at(cache_index)));
      if (sampled) tell_of_sample(thread, cell, class_size(class_at(cache_index)), type);
      return cell;
    }
    if (!runtime::collect_for_memory(thread, attempt)) throw std::bad_alloc();
  }
}

// [pages.limit] What is left after the first slice, one at a time: the thread answers handshakes in
// between.
static void return_excess_pages(Thread& thread, std::size_t clean_pages) noexcept {
  const std::size_t most = 2 * (clean_pages << runtime::kPageShift);
  for (std::size_t done = runtime::PageHeap::kExcessSlice; done < most;) {
    const RuntimeScope scope(thread);
    const std::size_t released = runtime::g_spans.pages().release_excess(most - done);
    if (released == 0) return;
    done += released;
  }
}

static bool holds_sample(Thread& thread, std::size_t size) noexcept {
  thread.until_sample -= static_cast<std::int64_t>(size);
  return thread.until_sample < 0;
}

TRICOLOR_ALLOCATOR static void* take_large(std::size_t size, Kind kind, bool cleared,
                                           const TypeInfo* type) {
  Thread& thread = Thread::attached();
  const WatchedAllocation watched;
  for (unsigned attempt = 0;; ++attempt) {
    runtime::PageRun run;
    char* object = nullptr;
    if (thread.is_asked()) thread.answer_here();
    {
      const RuntimeScope scope(thread);
      if (Span* const span = runtime::g_spans.create_large(thread, kind, size, run)) {
        object = runtime::g_heap.cell_address(*span, 0);
        runtime::charge_large_allocation(thread, *span);
        if (runtime::g_hands_out_singly) runtime::g_allocation_watch->note_type(object, type);
      }
    }
    if (object != nullptr) {
      runtime::learn_order();
      return_excess_pages(thread, run.clean);
      // Outside the runtime section: clearing takes long, and the thread answers handshakes
      // meanwhile.
      if (cleared && !run.zeroed) std::memset(object, 0, size);
      watched.end(size);
      if (holds_sample(thread, size)) tell_of_sample(thread, object, size, type);
      return object;
    }
    if (!runtime::collect_for_memory(thread, attempt)) throw std::bad_alloc();
  }
}

TRICOLOR_ALLOCATOR void* allocate_large(std::size_t size, Kind kind, const TypeInfo* type) {
  return take_large(size, kind, true, type);
}

TRICOLOR_ALLOCATOR void* allocate_large_for_overwrite(std::size_t size, Kind kind,
                                                      const TypeInfo* type) {
  return take_large(size, kind, false, type);
}

}  // namespace tricolor::gc::detail
