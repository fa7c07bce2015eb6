#pragma once

// Globals: the data segments and thread-local storage of everything that is loaded.
//
// [globals.fresh]  where they lie is noted while threads run, because asking takes the loader's lock. A stop
//                  compares the loader's list of modules with what was noted: a module that came or went since makes
//                  the stop vain. A module is on the list before any code of its runs.
// Threads: want, contains: any. refresh: the collector, threads running. The rest: the collector, in a stop.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/thread.h"

struct dl_phdr_info;

namespace tricolor::traced {

class Globals {
 public:
  void want(bool wanted) noexcept;
  bool wanted() const noexcept { return wanted_.load(std::memory_order_relaxed); }

  void refresh() noexcept;
  bool is_fresh() const noexcept;

  // Calls visit(lo, hi) for each writable segment, and for each module's storage of each attached
  // thread.
  template <class Visit>
  void for_each_segment(Visit visit) const noexcept {
    for (size_t i = 0; i < segment_count_; ++i) visit(segments_[i].lo, segments_[i].hi);
  }
  template <class Visit>
  void for_each_thread_block(const runtime::Thread& thread, Visit visit) const noexcept {
    for (size_t i = 0; i < module_count_; ++i) {
      const char* const block = block_of(thread, modules_[i]);
      if (block != nullptr) visit(block, block + modules_[i].bytes);
    }
  }
  // Whether `address` lies in one of them, or in the calling thread's storage. Any attached thread,
  // in a runtime section.
  bool contains(const void* address) noexcept;

 private:
  struct Segment {
    const char* lo;
    const char* hi;
  };
  struct Module {
    size_t id;
    size_t bytes;
  };
  static constexpr size_t kMost = size_t{1} << 14;

  static int note(dl_phdr_info* info, size_t size, void* globals) noexcept;
  void refresh_locked() noexcept;
  bool contains_locked(const void* address) const noexcept;
  void add_segment(const char* lo, const char* hi) noexcept;
  static uint64_t signature() noexcept;
  static const char* block_of(const runtime::Thread& thread, const Module& module) noexcept;

  // Relaxed: a wish takes effect in the next stop.
  std::atomic<bool> wanted_{false};
  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_; in a stop the collector reads them without: who changes them is in a runtime
  // section and does not stand. Memory for kMost of each, of which the system gives what is used.
  Segment* segments_ = nullptr;
  Module* modules_ = nullptr;
  size_t segment_count_ = 0;
  size_t module_count_ = 0;
  uint64_t signature_ = 0;
};

extern Globals g_globals;

}  // namespace tricolor::traced
