// The slow paths of get and put: rings, theft, victims.

#include <exception>
#include <new>

#include "pool/misuse.h"
#include "pool/ring.h"
#include "pool/state.h"
#include "pool/thread_slot.h"
#include "runtime/base/thread_order.h"
#include "runtime/thread.h"

namespace tricolor::sync::detail {

namespace {

using gc::detail::load_word;

constexpr auto kRelaxed = std::memory_order_relaxed;

// nullptr for a thread without a slot, whose operations are not counted.
PoolCounters* counters_of(PoolState& state, uint32_t slot) {
  if (slot == kNoSlot) return nullptr;
  return state.counters.get_or_make(slot, [] { return gc::make<PoolCounters>(); });
}

void count(PoolCounters* counters, uint64_t PoolCounters::*which) noexcept {
  if (counters != nullptr) add_one(counters->*which);
}

// [pool.owner]
void* take_private(Local& local) noexcept {
  void* const object = local.private_;
  if (object != nullptr) local.private_ = nullptr;
  return object;
}

// From the tails of all locals but slot's own, beginning behind it so that thieves spread out.
void* steal(const Generation& generation, uint32_t slot) noexcept {
  void* stolen = nullptr;
  const auto from = [&](bool behind) {
    return generation.locals.any_of([&](uint32_t other, Local& local) {
      if (behind ? other <= slot : other >= slot) return false;
      stolen = pop_tail(local);
      return stolen != nullptr;
    });
  };
  if (slot != kNoSlot && from(true)) return stolen;
  from(false);
  return stolen;
}

void* take_current(PoolHead& pool, PoolState& state, uint32_t slot, Reach reach,
                   PoolCounters* counters) noexcept {
  Generation* const generation = current_generation(pool, state);
  if (generation == nullptr) return nullptr;
  Local* const local = slot == kNoSlot ? nullptr : generation->locals.find(slot);
  if (local != nullptr) {
    remember_local(pool, generation->epoch, local);
    if (void* const object = take_private(*local)) {
      count(counters, &PoolCounters::private_hits);
      return object;
    }
    if (void* const object = pop_head(*local)) {
      count(counters, &PoolCounters::shared_hits);
      return object;
    }
  }
  if (reach == Reach::kLocal) return nullptr;
  void* const object = steal(*generation, slot);
  if (object != nullptr) count(counters, &PoolCounters::steals);
  return object;
}

void* take_victim(PoolState& state, uint32_t slot, Reach reach) noexcept {
  Generation* const victim = state.victim.load();
  if (victim == nullptr || victim->dropped.load(std::memory_order_acquire)) return nullptr;
  if (Local* const local = slot == kNoSlot ? nullptr : victim->locals.find(slot)) {
    if (void* const object = take_private(*local)) return object;
    if (victim->exhausted.load(kRelaxed)) return nullptr;
    if (void* const object = pop_tail(*local)) return object;
  }
  if (reach == Reach::kLocal || victim->exhausted.load(kRelaxed)) return nullptr;
  void* const object = steal(*victim, slot);
  if (object == nullptr) victim->exhausted.store(true, kRelaxed);
  return object;
}

// The calling thread's local of the current generation.
Local* open_local(PoolHead& pool, PoolState& state, uint32_t slot, PoolCounters* counters) {
  Generation* const generation = open_generation(pool, state);
  Local* const local = generation->locals.get_or_make(slot, [counters] {
    auto* const made = gc::make<Local>();
    made->counters = counters;
    return made;
  });
  remember_local(pool, generation->epoch, local);
  return local;
}

// False when the object was refused.
bool put_into(PoolHead& pool, PoolState& state, uint32_t slot, void* object, uint32_t most_shared,
              PoolCounters* counters) {
  Local* const local = open_local(pool, state, slot, counters);
  if (local->private_ == nullptr) {
    local->private_ = object;
    count(counters, &PoolCounters::private_puts);
    return true;
  }
  if (most_shared != UINT32_MAX && shared_size(*local) >= most_shared) return false;
  push_head(*local, object);
  count(counters, &PoolCounters::shared_puts);
  return true;
}

}  // namespace

void* take_slow(PoolHead& pool, Reach reach) {
  runtime::Thread::attached();  // from here on what lies on this stack is seen
  PoolState& state = state_of(pool);
  const uint32_t slot = thread_slot();
  PoolCounters* const counters = counters_of(state, slot);
  void* object = take_current(pool, state, slot, reach, counters);
  if (object == nullptr) {
    object = take_victim(state, slot, reach);
    count(counters, object != nullptr ? &PoolCounters::victim_hits : &PoolCounters::misses);
  }
  runtime::learn_order();
  return object;
}

void put_slow(PoolHead& pool, void* object, std::uint32_t most_shared) noexcept {
  PoolCounters* counters = nullptr;
  bool taken = false;
  runtime::tell_order();
  try {
    runtime::Thread::attached();
    PoolState& state = state_of(pool);
    const uint32_t slot = thread_slot();
    counters = counters_of(state, slot);
    taken = slot != kNoSlot && put_into(pool, state, slot, object, most_shared, counters);
  } catch (const std::exception&) {
    // The object is garbage, as if a collection had come: memory is short.
  }
  if (taken) return;
  count(counters, &PoolCounters::discarded);
  check_taken(object);
}

void count_discarded(PoolHead& pool) noexcept {
  try {
    runtime::Thread::attached();
    count(counters_of(state_of(pool), thread_slot()), &PoolCounters::discarded);
  } catch (const std::exception&) {
    // Not counted.
  }
}

PoolStats pool_stats(const PoolHead& pool) noexcept {
  PoolStats sum;
  const PoolState* const state = pool.state.load(std::memory_order_acquire);
  if (state == nullptr) return sum;
  state->counters.any_of([&sum](uint32_t, const PoolCounters& of_thread) {
    const uint64_t discarded = load_word(of_thread.discarded);
    sum +=
        {.private_hits = load_word(of_thread.private_hits),
         .shared_hits = load_word(of_thread.shared_hits),
         .steals = load_word(of_thread.steals),
         .victim_hits = load_word(of_thread.victim_hits),
         .misses = load_word(of_thread.misses),
         .puts = load_word(of_thread.private_puts) + load_word(of_thread.shared_puts) + discarded,
         .discarded = discarded};
    return false;
  });
  return sum;
}

}  // namespace tricolor::sync::detail
