#pragma once

// Samples: sampled objects, where they were made, and what became of them.
//
// A site is a stack, a size, a type and labels; it has counts. Every sampled object that is alive
// has a record, in shards by address, which the collector looks through when marking is over: what
// is not marked is dead.
//
// [samples.epochs]  a cycle decides about the objects that were made before it began. So counts are kept by epoch, one
//                   a cycle, and those of an epoch join the site's when the cycle after it has decided: what a heap
//                   profile shows of the living is as of one moment, the beginning of the last complete cycle.
// [samples.hidden]  addresses of objects are kept inverted: they are no references.
//
// Threads: add(): any, outside of runtime sections. forget(): any, inside one. cycle_*(): the collector.
// for_each_site(): any; counts change meanwhile. A child of fork() has what there was.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "observe/arena.h"
#include "observe/labels.h"
#include "observe/stack.h"
#include "runtime/base/lock.h"

namespace tricolor::runtime {
class Thread;
}
namespace tricolor::gc::detail {
struct TypeInfo;
}

namespace tricolor::observe {

struct Counts {
  std::atomic<uint64_t> allocated{0};
  std::atomic<uint64_t> freed{0};
};

struct Site {
  Site* next = nullptr;  // in its row
  uint64_t hash = 0;
  uint64_t size = 0;  // of each object's cell
  uint16_t type = 0;  // of g_known_types
  const Labels::Set* labels = nullptr;
  Counts done;
  std::array<Counts, 2> pending;  // by epoch

  // Lifetimes, of sampled objects.
  std::atomic<uint64_t> died_young{0};  // unreachable in the first cycle after they were made
  std::atomic<uint64_t> ages{0};        // cycles survived by those that died, summed up
  std::atomic<uint64_t> oldest{0};  // most cycles that one of them has survived, living included
  std::atomic<uint64_t> left_frame{0};   // found alive when the frame that made them had returned
  std::atomic<uint64_t> left_thread{0};  // found alive when their thread had ended
  uint32_t depth = 0;

  uintptr_t* frames() noexcept { return reinterpret_cast<uintptr_t*>(this + 1); }
  const uintptr_t* frames() const noexcept { return reinterpret_cast<const uintptr_t*>(this + 1); }
};

class Samples {
 public:
  void add(runtime::Thread& thread, const void* object, size_t size,
           const gc::detail::TypeInfo* type, const Stack& stack) noexcept;
  // Where the object was made; false where it is no sample. In a runtime section or a stop.
  bool find_stack(const void* object, Stack& out) noexcept;
  // The object is over (gc::destroy).
  void forget(const void* object) noexcept;

  void cycle_begins() noexcept;
  // Marking is over, nothing swept yet.
  void cycle_marked() noexcept;

  // Whether a cycle has decided about anything.
  bool any_cycle() const noexcept { return cycles_.load(std::memory_order_acquire) != 0; }
  size_t memory_bytes() const noexcept;
  // Samples without a record, for want of memory.
  uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

  template <class Visit>
  void for_each_site(Visit visit) const {
    for (const auto& row : sites_) {
      for (const Site* s = row.load(std::memory_order_acquire); s != nullptr; s = s->next)
        visit(*s);
    }
  }

 private:
  static constexpr size_t kRows = 4096;
  static constexpr size_t kShards = 64;
  static constexpr size_t kShardRows = 64;
  static constexpr size_t kMostBytes = size_t{64} << 20;

  struct Record {
    Record* next;
    uintptr_t hidden;  // [samples.hidden]
    Site* site;
    uint32_t epoch;
    int tid;
    uintptr_t frame_end;
    bool counted_frame;
    bool counted_thread;
  };
  struct Shard {
    runtime::Lock lock{runtime::LockRank::leaf};
    // Guarded by lock.
    std::array<Record*, kShardRows> rows{};
    Record* free = nullptr;
    Arena arena{size_t{16} << 10};
  };

  Site* find_site(size_t size, uint16_t type, const Labels::Set* labels,
                  const Stack& stack) noexcept;
  Site* add_site(uint64_t hash, size_t size, uint16_t type, const Labels::Set* labels,
                 const Stack& stack) noexcept;
  static size_t place(const void* object) noexcept;
  void look_through(Shard& shard, uint32_t epoch) noexcept;
  static bool has_returned(const Record& record, const runtime::Thread& thread) noexcept;
  void note_living(Record& record, uint32_t epoch) noexcept;
  static void raise(std::atomic<uint64_t>& most, uint64_t value) noexcept;

  // Epoch: written by the collector, read relaxed by all: one that reads the old one counts for the
  // epoch before.
  std::atomic<uint32_t> epoch_{1};
  std::atomic<uint32_t> cycles_{0};
  std::atomic<uint64_t> lost_{0};
  runtime::Lock sites_lock_{runtime::LockRank::leaf};
  Arena sites_arena_;  // guarded by sites_lock_
  // Stored (release) under sites_lock_ with the site complete, loaded without it (acquire).
  std::array<std::atomic<Site*>, kRows> sites_{};
  std::array<Shard, kShards> shards_{};
};

extern Samples& g_samples;

}  // namespace tricolor::observe
