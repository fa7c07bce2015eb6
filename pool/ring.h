#pragma once

// Ring: a bounded deque of references with one producer and any number of consumers, and the chain of them
// that a local's shared part is. After Go's sync.Pool (poolqueue.go).
//
//   owner:   push_head, pop_head          anybody:   pop_tail
//
// head and tail are 32-bit counts, packed into one word (head in the upper half): the slots tail ..
// head - 1 are full.
//
// [ring.one-word]  whoever moves head back or tail forward by a compare-exchange of the whole word owns the
//                  slot it moved over: a popped reference goes to exactly one thread.
// [ring.clear]     a consumer hands its slot back by storing null, after it has read it. The owner pushes only
//                  into a slot that is null: a consumer that is held up costs the ring its use, nobody waits.
//
// A chain runs from `head` (newest, the owner pushes there) over `older` to `tail` (the consumers
// pop there), and back over `newer`. The first ring has 8 slots, each further one twice as many, up
// to 2^30.
//
// [chain.drained]  a tail ring is left behind only if it was empty after it had a newer one: nobody pushes into
//                  it any more. What nobody refers to is collected.
// Threads: the owner is the thread whose slot the local has (pool/thread_slot.h); consumers are any.

#include <atomic>
#include <cstdint>

#include <tricolor/detail/pool_core.hpp>

namespace tricolor::sync::detail {

struct alignas(kFalseSharing / 2) Ring {
  static constexpr uint32_t kFirstCapacity = 8;
  static constexpr uint32_t kMostCapacity = uint32_t{1} << 30;

  // capacity: a power of two. std::bad_alloc.
  explicit Ring(uint32_t capacity);

  // The owner. False when the ring is full.
  bool push_head(void* object) noexcept;
  // The owner. nullptr when the ring is empty.
  void* pop_head() noexcept;
  // Anybody. nullptr when the ring is empty.
  void* pop_tail() noexcept;

  uint32_t size() const noexcept;
  uint32_t capacity() const noexcept { return mask_ + 1; }

  // Stored by the owner (release) when it starts a newer ring, loaded by consumers (acquire): the
  // pair makes the new ring's contents visible.
  gc::atomic<Ring> newer;
  // Stored by the owner before the ring is in use, cleared by the consumer that leaves `older`
  // behind (relaxed both: the owner may still find the ring, and finds it empty).
  gc::atomic<Ring> older;

 private:
  // Pushed by the owner (release), popped by compare-exchange (acquire; acq_rel at the tail): the
  // pair makes the slot's contents visible to who wins it.
  std::atomic<uint64_t> head_and_tail_{0};
  gc::ptr<gc::atomic<void>> slots_;
  uint32_t mask_;
};

// The shared part of a local. push: the owner, std::bad_alloc. pop_head: the owner. pop_tail:
// anybody.
void push_head(Local& local, void* object);
void* pop_head(Local& local) noexcept;
void* pop_tail(Local& local) noexcept;

// How many objects the chain holds, at most; exact for the owner while nobody steals.
uint64_t shared_size(const Local& local) noexcept;

}  // namespace tricolor::sync::detail
