#pragma once

// Specials: what is to happen when particular objects die: weak references read nullptr, finalizers and cleanups
// run.
//
// A record belongs to an object by its address and lives in ordinary memory, where its key is no
// reference.
//
// [specials.gate]     while barriers are on, a weak lock takes gate_lock(). Gate open: the target is shaded and
//                     returned. Gate closed: it is returned only if it is marked already. The collector closes the
//                     gate under the same lock, together with its last look at buffers and queue, so no lock can
//                     revive an object behind its back.
// [specials.contents] what an object with a finalizer refers to is marked as from a root (not the object itself), so
//                     that A's finalizer runs before that of the B it refers to, and B is alive in it. Words that
//                     point into the object itself (a short std::string, an empty std::map) are no references.
// [specials.once]     a finalizer is taken out of its record when it is queued.
// [specials.in_cycles] what an object with a finalizer for cycles refers to is not marked beforehand. When all else is
//                     marked, those that are not have died together: their weak references are cleared while the gate
//                     is closed, their finalizers taken, and when the gate is open again queued: a finalizer may
//                     lock a weak reference to what its object refers to. Marking goes on from them.
// Threads: any, in a runtime section; the collector's functions say so.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "gc/special_table.h"
#include "runtime/base/lock.h"
#include "runtime/thread.h"

#include <tricolor/weak.hpp>

namespace tricolor::gc {

namespace detail {

// Shared by all gc::weak of one object.
struct WeakCell : runtime::FromMalloc {
  // ~address of the object, 0 once it is cleared. Cleared by the collector (release) while the gate
  // is closed, or by gc::destroy; read by locks (acquire).
  std::atomic<uintptr_t> hidden_object{0};
  // Counts the gc::weak, and one for the record. Incremented relaxed, decremented acq_rel.
  std::atomic<uint32_t> references{1};
};

}  // namespace detail

class Specials {
 public:
  detail::WeakCell* weak_cell(char* object);
  // What it replaces is left in `task`, to be destroyed outside of the runtime: it may hold
  // anything.
  void set_finalizer(char* object, std::unique_ptr<Task>& task);
  std::unique_ptr<Task> clear_finalizer(char* object) noexcept;
  uint64_t add_cleanup(char* object, std::unique_ptr<Task>& task);  // gives its number
  // What was to run, for the same reason; nothing if there is no such cleanup any more.
  std::unique_ptr<Task> cancel_cleanup(const char* object, uint64_t number) noexcept;

  // Before the destructor of an object that gc::destroy ends: clears its weak references and gives
  // its finalizer. Its cleanups stay in the record, where the child of a fork() finds them.
  std::unique_ptr<Task> disarm(char* object) noexcept;
  // After it: the record, taken out.
  Special take(char* object) noexcept;

  // Collector: visits the objects that have a finalizer.
  template <class Visit>
  void for_each_finalizable(Visit visit) noexcept;

  // Collector, gate closed: clears weak references to unmarked objects that have a finalizer for
  // cycles, and takes these. False if there are none.
  bool take_in_cycles(TaskList& taken) noexcept;

  // Collector, gate closed: clears weak references to unmarked objects and queues their finalizers
  // and cleanups. An object whose finalizer is queued is marked. [task.no-memory]
  void process_dead() noexcept;

  runtime::Lock& gate_lock() noexcept { return gate_lock_; }
  bool gate_open() const noexcept { return gate_open_; }
  void set_gate_open(bool open) noexcept { gate_open_ = open; }

  char* lock_weak(runtime::Thread& thread, detail::WeakCell& cell) noexcept;

  bool empty() const noexcept { return records_.load(std::memory_order_relaxed) == 0; }

 private:
  static constexpr size_t kShards = 32;
  struct alignas(64) Shard {
    runtime::Lock lock;
    SpecialTable records;
  };

  // Neighbours share a shard: the collector's walks go through the heap part by part.
  Shard& shard_of(const char* object) noexcept {
    return shards_[(reinterpret_cast<uintptr_t>(object) >> 16) * 0x9e3779b97f4a7c15u >> 59];
  }
  // The object's record, made if there is none. std::bad_alloc. Under the shard's lock.
  Special& record_of(Shard& shard, char* object);
  void note_size(int64_t change) noexcept { records_.fetch_add(change, std::memory_order_relaxed); }

  std::array<Shard, kShards> shards_;
  runtime::Lock gate_lock_;  // taken both inside and around the threads' lock, never by two that
                             // could wait for each other
  bool gate_open_ = true;    // guarded by gate_lock_
  std::atomic<uint64_t> next_cleanup_{1};
  std::atomic<int64_t> records_{0};  // a hint, relaxed
  // Whether there has ever been a finalizer for cycles. Relaxed: one that is set while a cycle
  // marks has its object shaded.
  std::atomic<bool> any_in_cycles_{false};
};

// Never destroyed: programs use it from static constructors and destructors.
Specials& specials() noexcept;

template <class Visit>
void Specials::for_each_finalizable(Visit visit) noexcept {
  // Asking each would read memory that nobody needs otherwise.
  const bool ask = any_in_cycles_.load(std::memory_order_relaxed);
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.lock);
    for (size_t i = 0; i < shard.records.size(); ++i) {
      const Special& special = shard.records[i];
      if (special.finalizer && !(ask && special.finalizer->in_cycles)) visit(special.object());
    }
  }
}

}  // namespace tricolor::gc
