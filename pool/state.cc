#include "pool/state.h"

#include <mutex>

#include "pool/misuse.h"
#include "pool/rotation.h"
#include "pool/thread_slot.h"
#include "runtime/thread.h"

namespace tricolor::sync::detail {

namespace {

// Holds the lock in a runtime section, so that fork() finds it free.
class LockedState {
 public:
  explicit LockedState(PoolState& state)
      : scope_(runtime::Thread::attached_or_fatal()), guard_(state.lock) {}

 private:
  runtime::RuntimeScope scope_;
  std::lock_guard<runtime::Lock> guard_;
};

void begin_epoch_locked(PoolHead& pool) noexcept {
  const uint64_t fresh = fresh_epoch();
  note_epoch_begun(fresh);
  pool.epoch.store(fresh);
  if (pool.inlined) pool.inlined_epoch.store(fresh);
}

void drop(Generation* generation) noexcept {
  if (generation == nullptr) return;
  generation->dropped.store(true, std::memory_order_release);
  note_epoch_over(generation->epoch);
}

void drop_everything_locked(PoolHead& pool, PoolState& state) noexcept {
  note_epoch_over(pool.epoch.load());
  begin_epoch_locked(pool);
  Generation* current = state.current.load();
  // [pool.current] Somebody may have made the new epoch's already.
  if (current != nullptr && current->epoch != pool.epoch.load()) {
    drop(current);
    state.current.compare_exchange_strong(current, nullptr);
  }
  drop(state.victim.load());
  state.victim.store(nullptr);
}

PoolState& make_state(PoolHead& pool) {
  register_rotation();
  auto* const fresh = gc::make<PoolState>();
  fresh->inverted_head = ~reinterpret_cast<uintptr_t>(&pool);
  gc::root<PoolState> owner(fresh);
  uint64_t none = kNoEpoch;
  const uint64_t epoch = fresh_epoch();
  if (pool.epoch.compare_exchange_strong(none, epoch)) note_epoch_begun(epoch);
  const LockedState locked(*fresh);  // no rotation until all of it stands
  PoolState* there = nullptr;
  if (!pool.state.compare_exchange_strong(there, fresh, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
    return *there;
  }
  pool.owner.swap(owner);
  if (pool.inlined) pool.inlined_epoch.store(pool.epoch.load());
  return *fresh;
}

}  // namespace

PoolState& state_of(PoolHead& pool) {
  PoolState* const there = pool.state.load(std::memory_order_acquire);
  return there != nullptr ? *there : make_state(pool);
}

Generation* current_generation(const PoolHead& pool, const PoolState& state) noexcept {
  Generation* const generation = state.current.load();
  // [pool.current]
  return generation != nullptr && generation->epoch == pool.epoch.load() ? generation : nullptr;
}

Generation* open_generation(const PoolHead& pool, PoolState& state) {
  for (;;) {
    Generation* there = state.current.load();
    const uint64_t epoch = pool.epoch.load();  // [pool.current]
    if (there != nullptr && there->epoch == epoch) return there;
    auto* const fresh = gc::make<Generation>(epoch);
    if (!state.current.compare_exchange_strong(there, fresh)) continue;
    // [pool.listed]
    if (!state.listed.load() && !state.listed.exchange(true)) list_for_rotation(state);
    if (pool.epoch.load() == epoch) return fresh;
  }
}

bool rotate(PoolState& state, bool keep) noexcept {
  const LockedState locked(state);
  PoolHead* const pool = state.head_locked();
  if (pool == nullptr) return false;
  Generation* current = state.current.load();
  const bool valid = current != nullptr && current->epoch == pool->epoch.load();  // [pool.current]
  if (valid) begin_epoch_locked(*pool);  // [pool.epoch-first]
  drop(state.victim.load());
  if (valid && !keep) drop(current);
  state.victim.store(valid && keep ? current : nullptr);
  if (current != nullptr) state.current.compare_exchange_strong(current, nullptr);
  return valid;
}

void drain_pool(PoolHead& pool) noexcept {
  PoolState* const state = pool.state.load(std::memory_order_acquire);
  if (state == nullptr) return;
  const LockedState locked(*state);  // [pool.lock]
  drop_everything_locked(pool, *state);
}

void close_pool(PoolHead& pool) noexcept {
  PoolState* const state = pool.state.load(std::memory_order_acquire);
  if (state == nullptr) return;
  const LockedState locked(*state);
  drop_everything_locked(pool, *state);
  note_epoch_over(pool.epoch.load());
  state->inverted_head = ~uintptr_t{0};
}

}  // namespace tricolor::sync::detail
