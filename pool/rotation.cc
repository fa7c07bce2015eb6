#include "pool/rotation.h"

#include <array>
#include <functional>
#include <memory>
#include <utility>

#include "gc/collector.h"
#include "pool/thread_slot.h"
#include "runtime/base/once.h"
#include "runtime/thread.h"

#include <tricolor/root.hpp>
#include <tricolor/sync/memory_guard.hpp>

namespace tricolor::sync::detail {

namespace {

struct alignas(kFalseSharing) Head {
  // Pushed by compare-exchange (release), taken whole by the hook (acquire): the pair makes `next`
  // visible. Nothing is popped singly, so there is no ABA.
  gc::atomic<PoolState> first;
};

struct Lists {
  std::array<Head, 16> heads;
  gc::ptr<PoolState> kept;  // the hook's own: pools that stay on the list
};

Lists* g_lists = nullptr;  // set once, before the hook is registered
std::atomic<uint64_t> g_steps{0};
// Set by who wants memory, taken by the hook. Relaxed: it is a request.
std::atomic<bool> g_drop{false};

// Puts what has been added in front of what is kept.
void take_over(Lists& lists) noexcept {
  for (Head& head : lists.heads) {
    PoolState* state = head.first.exchange(nullptr, std::memory_order_acquire);
    while (state != nullptr) {
      PoolState* const next = state->next;
      state->next = lists.kept;
      lists.kept = state;
      state = next;
    }
  }
}

// Whether the pool, which has nothing to rotate, may go; if not, it has come back.
bool take_off(PoolState& state) noexcept {
  // [pool.listed]
  state.listed.store(false);
  return state.current.load() == nullptr || state.listed.exchange(true);
}

// [once.restart]
void start_rotation() {
  static constinit const gc::root<Lists>* lists = nullptr;
  static constinit bool hook_there = false;
  if (lists == nullptr) {
    lists = new gc::root<Lists>(gc::make<Lists>());
    g_lists = lists->get();
  }
  if (!hook_there) {
    auto hook = std::make_shared<std::function<void()>>(rotate_pools);
    // A fork() waits for the end of the section.
    const runtime::RuntimeScope scope(runtime::Thread::attached());
    gc::g_collector.hooks().add(std::move(hook), true);
    hook_there = true;
  }
  start_memory_guard_of_environment();
}

}  // namespace

void register_rotation() {
  static constinit runtime::Once once;
  once.run(start_rotation);
}

void list_for_rotation(PoolState& state) noexcept {
  const uint32_t slot = thread_slot();
  gc::atomic<PoolState>& first = g_lists->heads[slot % g_lists->heads.size()].first;
  PoolState* head = first.load(std::memory_order_relaxed);
  do {
    state.next = head;
  } while (!first.compare_exchange_weak(head, &state, std::memory_order_release,
                                        std::memory_order_relaxed));
}

void rotate_pools() noexcept {
  Lists& lists = *g_lists;
  const bool keep = !g_drop.exchange(false, std::memory_order_relaxed);
  take_over(lists);
  uint64_t steps = 0;
  PoolState* before = nullptr;
  for (PoolState* state = lists.kept; state != nullptr;) {
    ++steps;
    // Once it is off the list somebody else may put it on another.
    PoolState* const next = state->next;
    if (rotate(*state, keep) || !take_off(*state)) {
      before = state;
    } else if (before == nullptr) {
      lists.kept = next;
    } else {
      before->next = next;
    }
    state = next;
  }
  g_steps.store(steps, std::memory_order_relaxed);
}

void drop_pools_at_next_rotation() noexcept { g_drop.store(true, std::memory_order_relaxed); }

uint64_t steps_of_last_rotation() noexcept { return g_steps.load(std::memory_order_relaxed); }

}  // namespace tricolor::sync::detail
