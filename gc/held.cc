#include "gc/held.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <mutex>
#include <new>

#include "gc/collector.h"
#include "gc/ephemerons.h"
#include "gc/finalizer_thread.h"
#include "gc/held_frames.h"
#include "gc/open_roots.h"
#include "gc/roots.h"
#include "gc/specials.h"
#include "gc/stacks.h"
#include "runtime/base/immortal.h"
#include "runtime/handshake.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

using runtime::Cell;
using runtime::g_heap;
using runtime::Span;
using runtime::StackView;
using runtime::Thread;
namespace os = runtime::os;
namespace futex = runtime::futex;

namespace {

constinit runtime::Immortal<Held> g_the_held;

uint64_t offset_of(const void* address) noexcept {
  return static_cast<uint64_t>(static_cast<const char*>(address) - g_heap.base());
}

template <class T>
T* map_array(size_t count) noexcept {
  return static_cast<T*>(os::map(std::max<size_t>(count, 1) * sizeof(T)));
}

template <class T>
void unmap_array(T*& array, size_t count) noexcept {
  if (array != nullptr) os::unmap(array, std::max<size_t>(count, 1) * sizeof(T));
  array = nullptr;
}

}  // namespace

Held& g_held = g_the_held.value;

void Held::begin() {
  Thread& thread = Thread::attached();
  {
    const runtime::BlockedWait wait(&thread);
    while (busy_.exchange(1, std::memory_order_acquire) != 0) futex::wait(&busy_, 1);
  }
  note_code();
  caller_ = thread.tid;
  failed_ = false;
  wanted_.store(true, std::memory_order_release);
  try {
    g_collector.collect();
  } catch (...) {
    release();
    throw;
  }
  if (!failed_) return;
  release();
  throw std::bad_alloc();
}

// What others still look at reads as nothing held. [held.still] The memory itself stays until then.
void Held::release() noexcept {
  wanted_.store(false, std::memory_order_relaxed);
  words_.store(nullptr, std::memory_order_release);
  if (bits_ != nullptr) os::release(bits_, room_pages_ * kWordsPerPage * sizeof(uint64_t));
  unmap_array(roots_, root_room_);
  unmap_array(threads_, kMostThreads);
  unmap_array(before_, room_pages_);
  unmap_array(starts_, room_pages_ / 64 + 1);
  busy_.store(0, std::memory_order_release);
  futex::wake(&busy_, 1);
}

void Held::forget_after_fork() noexcept {
  if (busy_.load(std::memory_order_relaxed) != 0) release();
}

size_t Held::root_count() const noexcept {
  return std::min(root_count_.load(std::memory_order_relaxed), root_room_);
}

size_t Held::thread_count() const noexcept {
  return std::min(thread_count_.load(std::memory_order_relaxed), kMostThreads);
}

size_t Held::number_of(Cell cell) const noexcept {
  const size_t word = size_t{cell.span->first_page} * kWordsPerPage + cell.index / 64;
  size_t number = before_[word / kWordsPerPage];
  for (size_t w = word / kWordsPerPage * kWordsPerPage; w < word; ++w) {
    number += static_cast<size_t>(std::popcount(bits_[w]));
  }
  const uint64_t below = (uint64_t{1} << (cell.index % 64)) - 1;
  return number + static_cast<size_t>(std::popcount(bits_[word] & below));
}

// [held.still] What the set before has used goes, or is used again.
bool Held::reserve() noexcept {
  const size_t pages = runtime::g_spans.used_end();
  if (pages > room_pages_ || bits_ == nullptr) {
    unmap_array(bits_, room_pages_ * kWordsPerPage);
    room_pages_ = pages;
    bits_ = map_array<uint64_t>(pages * kWordsPerPage);
  }
  before_ = map_array<uint64_t>(room_pages_);
  starts_ = map_array<uint64_t>(room_pages_ / 64 + 1);
  threads_ = map_array<HeldThread>(kMostThreads);
  root_room_ = kMostStackRoots;
  roots_ = map_array<HeldRoot>(root_room_);
  root_count_.store(0, std::memory_order_relaxed);
  thread_count_.store(0, std::memory_order_relaxed);
  lost_.store(0, std::memory_order_relaxed);
  return bits_ != nullptr && before_ != nullptr && starts_ != nullptr && threads_ != nullptr &&
         roots_ != nullptr;
}

void Held::copy_marks() noexcept {
  uint32_t page = 0;
  while (Span* const span = runtime::g_spans.next(page)) {
    if (span->first_page >= room_pages_) return;
    const uint64_t* const marks = g_heap.mark_words(*span);
    const uint64_t* const alloc = g_heap.alloc_words(*span);
    uint64_t* const held = bits_ + size_t{span->first_page} * kWordsPerPage;
    uint64_t any = 0;
    for (uint32_t w = 0; w < span->words(); ++w) {
      const uint64_t marked = __atomic_load_n(marks + w, __ATOMIC_ACQUIRE);
      held[w] = marked & __atomic_load_n(alloc + w, __ATOMIC_RELAXED) & ~span->tail_mask(w);
      any |= held[w];
    }
    if (any != 0) starts_[span->first_page / 64] |= uint64_t{1} << (span->first_page % 64);
  }
}

void Held::count_objects() noexcept {
  size_t count = 0;
  for (size_t page = 0; page < room_pages_; ++page) {
    before_[page] = count;
    for (size_t w = page * kWordsPerPage; w < (page + 1) * kWordsPerPage; ++w) {
      count += static_cast<size_t>(std::popcount(bits_[w]));
    }
  }
  count_ = count;
}

void Held::take(Thread& self) noexcept {
  if (!reserve()) {
    failed_ = true;
    wanted_.store(false, std::memory_order_relaxed);
    return;
  }
  copy_marks();
  ask_threads(self);
  read_roots(self);
  count_objects();
  pages_.store(static_cast<uint32_t>(room_pages_), std::memory_order_relaxed);
  words_.store(bits_, std::memory_order_release);
  wanted_.store(false, std::memory_order_relaxed);
}

void Held::add(HeldRoot root) noexcept {
  const size_t at = root_count_.fetch_add(1, std::memory_order_relaxed);
  if (at < root_room_) {
    roots_[at] = root;
  } else {
    lost_.fetch_add(1, std::memory_order_relaxed);
  }
}

// Of the collector, nobody else adding: room is made.
void Held::add(HeldFrom from, const void* place, const void* target) noexcept {
  const size_t count = root_count_.load(std::memory_order_relaxed);
  if (count >= root_room_) {
    HeldRoot* const larger = map_array<HeldRoot>(2 * root_room_);
    if (larger == nullptr) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    std::memcpy(larger, roots_, root_room_ * sizeof(HeldRoot));
    root_count_.store(std::min(count, root_room_), std::memory_order_relaxed);
    unmap_array(roots_, root_room_);
    roots_ = larger;
    root_room_ *= 2;
  }
  add({reinterpret_cast<uintptr_t>(place), offset_of(target), static_cast<uint32_t>(from), 0});
}

// The cells that the thread has at hand hold no objects yet. Its own words of the bitmap, so nobody
// else's bits.
void Held::drop_unused(const Thread& thread) noexcept {
  for (const runtime::CacheEntry& entry : thread.cache) {
    const uint64_t unused = detail::load_word(entry.free);
    if (unused == 0) continue;
    const Cell first = g_heap.find(detail::load_word(entry.base));
    if (!first || first.span->first_page >= room_pages_) continue;
    __atomic_fetch_and(bits_ + size_t{first.span->first_page} * kWordsPerPage + first.index / 64,
                       ~unused, __ATOMIC_RELAXED);
  }
}

// In the handshake: on the thread itself, or on the collector's for one that is blocked.
void Held::answer(Thread& thread, StackView stack) noexcept {
  drop_unused(thread);
  const size_t number = thread_count_.fetch_add(1, std::memory_order_relaxed);
  if (number >= kMostThreads) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  HeldThread& held = threads_[number];
  held.tid = thread.tid;
  held.caller = thread.tid == caller_;
  held.blocked = Thread::current() != &thread;
  held.sp = reinterpret_cast<uintptr_t>(stack.sp);
  held.interrupted = held.blocked ? 0 : reinterpret_cast<uintptr_t>(stack.interrupted);
  held.stack_lo = reinterpret_cast<uintptr_t>(thread.stack_lo);
  held.stack_hi = reinterpret_cast<uintptr_t>(thread.stack_hi);
  if (held.blocked) {
    guess_frames(held);
  } else {
    unwind_frames(held);
  }
  static_assert(sizeof(Thread::saved_words) % sizeof(uintptr_t) == 0);
  thread.data->held_number = static_cast<uint32_t>(number);
  thread.data->held_words = stack.words;
  thread.data->held_words_end = stack.words + stack.count;
  visit_thread_stack(
      thread, stack, [](Thread& of, uintptr_t word, const uintptr_t* place) noexcept {
        const ThreadData& data = *of.data;
        // NOLINTNEXTLINE(performance-no-int-to-ptr): a word that may be an address
        g_heap.for_each_referred(reinterpret_cast<const void*>(word), [&](Cell cell) {
          if (!g_heap.is_allocated(cell)) return;
          HeldRoot root;
          root.place = reinterpret_cast<uintptr_t>(place);
          root.offset = offset_of(g_heap.cell_address(cell));
          root.from = static_cast<uint32_t>(HeldFrom::kStack) + data.held_number;
          root.in_register = place >= data.held_words && place < data.held_words_end ? 1 : 0;
          g_held.add(root);
        });
      });
}

void Held::ask_threads(Thread& self) noexcept {
  const runtime::Handshake::Action action = [](Thread& thread, StackView stack) noexcept {
    g_held.answer(thread, stack);
  };
  OpenRoots* const open = open_roots();
  if (open == nullptr || !runtime::g_handshake.stop(action)) {
    // In vain all have answered, and what is read of standing threads alone is left out.
    if (open == nullptr) runtime::g_handshake.run(action);
    return;
  }
  open->visit_standing(
      [](void*, const char* from, size_t bytes) noexcept {
        g_held.add_memory(HeldFrom::kStanding, from, bytes);
      },
      nullptr);
  runtime::g_handshake.resume();
  static_cast<void>(self);
}

__attribute__((no_sanitize("address", "thread", "undefined"))) void Held::add_memory(
    HeldFrom from, const char* lo, size_t bytes) noexcept {
  for (size_t at = 0; at + sizeof(void*) <= bytes; at += sizeof(void*)) {
    const void* const target = *reinterpret_cast<const void* const volatile*>(lo + at);
    if (g_heap.find_allocated(target)) add(from, lo + at, target);
  }
}

void Held::read_roots(Thread& self) noexcept {
  g_roots.for_each_slot([this](const detail::RootSlot& slot) {
    const void* const target = detail::load_word(slot.target);
    if (g_heap.find_allocated(target)) add(HeldFrom::kSlot, &slot, target);
  });
  finalizer_thread().for_each_root(
      [this](const char* object) { add(HeldFrom::kFinalizer, nullptr, object); });
  if (!specials().empty()) {
    specials().for_each_finalizable(
        [this](char* object) { add(HeldFrom::kFinalizable, object, object); });
  }
  if (!ephemerons().empty()) {
    ephemerons().for_each_entry(
        [](void* held, const char* key, const char* value) noexcept {
          // NOLINTNEXTLINE(performance-no-int-to-ptr): an offset
          static_cast<Held*>(held)->add(HeldFrom::kEphemeron,
                                        reinterpret_cast<const void*>(offset_of(key)), value);
        },
        this);
  }
  if (OpenRoots* const open = open_roots()) {
    open->visit_all(
        [](void*, const char* from, size_t bytes) noexcept {
          g_held.add_memory(HeldFrom::kTraced, from, bytes);
        },
        nullptr, false);
  }
  visit_fiber_stacks(self, [](Thread&, uintptr_t word, const uintptr_t* place) noexcept {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a word that may be an address
    g_held.add(HeldFrom::kFiber, place, reinterpret_cast<const void*>(word));
  });
}

}  // namespace tricolor::gc
