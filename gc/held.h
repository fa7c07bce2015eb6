#pragma once

// Held: what one cycle has found reachable, kept from the sweep until it is released, so that it can be read at
// leisure while the program runs and further cycles come and go. What looks at the heap (observe/)
// stands on it.
//
// Taken at the end of marking: a copy of the mark bits, a bit a cell at the places of the heap's
// own bitmaps, less the cells that threads have not handed out yet; and the words that lead into
// the heap from outside of it. Numbers of objects are counts of bits, so no table of objects is
// needed: 1/128 of the heap for the bits, 1/1024 for counts,
// 24 bytes a root.
//
// [held.sweep]   a sweep, and gc::destroy, keep a held cell whatever its mark says. So the span of a held cell, and
//                its header, stay as they are; what its words say is the program's own business.
// [held.still]   nobody sweeps while a set is taken ([sweep.finished], and between marking and the new generation);
//                so nobody reads the bits of the set before, whose memory is used again.
// A set only ever keeps more: a bit that is wrong costs memory until the release and nothing else.
// Threads: take(): the collector. holds(), words_of(): any. The rest: whoever has begun an inspection, one at a time.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/heap/heap_map.h"
#include "runtime/thread.h"

namespace tricolor::gc {

// Where a word lies that leads into the heap. From kStack on: in the stack of a thread, by its
// place in threads().
enum class HeldFrom : uint32_t {
  kSlot,
  kTraced,
  kStanding,
  kFinalizer,
  kFinalizable,
  kEphemeron,
  kFiber,
  kStack
};

struct HeldRoot {
  uintptr_t place;  // of the word; of kFinalizer none, of kFinalizable the object, of kEphemeron
                    // the key's offset
  uint64_t offset;  // what it refers to, from the base of the heap: no reference itself
  uint32_t from;    // a HeldFrom, or kStack and the number of the thread
  uint32_t in_register;
};

struct HeldThread {
  static constexpr size_t kMostFrames = 48;
  struct Frame {
    uintptr_t pc;
    uintptr_t cfa;  // where the frame of its caller begins
  };
  int tid;
  bool caller;   // began the inspection
  bool blocked;  // the collector has answered for it
  bool guessed;  // frames are told by what looks like a return address
  uint32_t frame_count;
  uintptr_t sp;           // the lowest word that was read
  uintptr_t interrupted;  // the stack pointer of what a signal interrupted; 0: none did
  uintptr_t stack_lo;
  uintptr_t stack_hi;
  std::array<Frame, kMostFrames> frames;
};

class Held {
 public:
  // Waits for its turn, runs a full collection, and holds what it found. std::bad_alloc.
  void begin();
  void release() noexcept;

  bool wanted() const noexcept { return wanted_.load(std::memory_order_acquire); }
  // Collector, gate closed, before H4.
  void take(runtime::Thread& self) noexcept;

  // [held.sweep] The held bits of a span, or nullptr. Stored before the generation moves on (release).
  const uint64_t* words_of(const runtime::Span& span) const noexcept {
    const uint64_t* const words = words_.load(std::memory_order_acquire);
    return words != nullptr && span.first_page < pages_.load(std::memory_order_relaxed)
               ? words + size_t{span.first_page} * kWordsPerPage
               : nullptr;
  }
  bool holds(runtime::Cell cell) const noexcept {
    const uint64_t* const words = words_of(*cell.span);
    return words != nullptr &&
           (__atomic_load_n(words + cell.index / 64, __ATOMIC_RELAXED) >> (cell.index % 64) & 1) !=
               0;
  }

  // The held object that `address` points into.
  runtime::Cell find(const void* address) const noexcept {
    const runtime::Cell cell = runtime::g_heap.find(address);
    return cell && holds(cell) ? cell : runtime::Cell{};
  }

  size_t count() const noexcept { return count_; }
  // Objects in the order of their addresses, from 0.
  size_t number_of(runtime::Cell cell) const noexcept;
  // Calls visit(Cell) for each, in that order.
  template <class Visit>
  void for_each(Visit visit) const;

  const HeldRoot* roots() const noexcept { return roots_; }
  size_t root_count() const noexcept;
  const HeldThread* threads() const noexcept { return threads_; }
  size_t thread_count() const noexcept;
  // Roots that there was no room for.
  size_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

  void forget_after_fork() noexcept;

 private:
  static constexpr size_t kWordsPerPage = detail::kPageSize / detail::kGranule / 64;
  static constexpr size_t kMostStackRoots = size_t{1} << 20;
  static constexpr size_t kMostThreads = size_t{1} << 12;

  bool reserve() noexcept;
  void copy_marks() noexcept;
  void count_objects() noexcept;
  void read_roots(runtime::Thread& self) noexcept;
  void ask_threads(runtime::Thread& self) noexcept;
  void add(HeldRoot root) noexcept;
  void add(HeldFrom from, const void* place, const void* target) noexcept;
  void add_memory(HeldFrom from, const char* lo, size_t bytes) noexcept;
  void answer(runtime::Thread& thread, runtime::StackView stack) noexcept;
  void drop_unused(const runtime::Thread& thread) noexcept;

  // Stored by take() (release) and release(), read by those who sweep (acquire).
  std::atomic<uint64_t*> words_{nullptr};
  std::atomic<uint32_t> pages_{0};
  // Set by begin() (release), read and cleared by the collector (acquire).
  std::atomic<bool> wanted_{false};
  // Whether an inspection is under way; taken (acquire) and given up (release) by begin() and
  // release(), slept on.
  std::atomic<uint32_t> busy_{0};

  // Written by take(), and in its handshake by those who answer; read after the cycle.
  uint64_t* bits_ = nullptr;    // words_ while the set stands
  uint64_t* before_ = nullptr;  // of each page: objects before it
  uint64_t* starts_ = nullptr;  // a bit a page: a span begins there that holds something
  size_t room_pages_ = 0;
  size_t count_ = 0;
  HeldRoot* roots_ = nullptr;
  size_t root_room_ = 0;
  std::atomic<size_t> root_count_{0};  // relaxed: places are taken one by one
  HeldThread* threads_ = nullptr;
  std::atomic<size_t> thread_count_{0};
  std::atomic<size_t> lost_{0};
  int caller_ = 0;
  bool failed_ = false;
};

extern Held& g_held;

template <class Visit>
void Held::for_each(Visit visit) const {
  for (size_t page = 0; page < room_pages_; ++page) {
    if ((starts_[page / 64] >> (page % 64) & 1) == 0) continue;
    runtime::Span* const span = runtime::g_heap.span_at(static_cast<uint32_t>(page));
    const uint64_t* const words = bits_ + page * kWordsPerPage;
    for (uint32_t w = 0; w < span->words(); ++w) {
      for (uint64_t rest = words[w]; rest != 0; rest &= rest - 1) {
        visit(runtime::Cell{span, w * 64 + static_cast<uint32_t>(__builtin_ctzll(rest))});
      }
    }
  }
}

// From begin() to release().
class Inspection {
 public:
  Inspection() { g_held.begin(); }
  ~Inspection() { g_held.release(); }
  Inspection(const Inspection&) = delete;
  Inspection& operator=(const Inspection&) = delete;
};

}  // namespace tricolor::gc
