#include "pool/thread_slot.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <bit>

#include "gc/hooks.h"

#include <tricolor/detail/pool_core.hpp>

namespace tricolor::sync::detail {

namespace {

constexpr uint64_t kEpochBlock = 256;

struct ThreadState {
  uint32_t slot;
  bool has_slot;
  uint64_t next_epoch, end_epoch;
};
constinit thread_local ThreadState t_state{};

// [slot.handover]
constinit std::array<std::atomic<uint64_t>, kSlots / 64> g_taken{};
constinit std::atomic<uint64_t> g_next_epoch{1};  // relaxed: only the numbers matter

pthread_once_t g_once = PTHREAD_ONCE_INIT;
pthread_key_t g_exit_key;
bool g_has_key = false;

uint32_t take_slot() noexcept {
  for (uint32_t i = 0; i < g_taken.size(); ++i) {
    uint64_t taken = g_taken[i].load(std::memory_order_relaxed);
    while (taken != ~uint64_t{0}) {
      const uint64_t bit = ~taken & (taken + 1);
      if (g_taken[i].compare_exchange_weak(taken, taken | bit, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
        return i * 64 + static_cast<uint32_t>(std::countr_zero(bit));
      }
    }
  }
  return kNoSlot;
}

// [pool.attached]
void forget_entries() noexcept { thread_entries.fill(Entry{}); }

// Runs after the destructors of thread_locals. When a later key's destructor uses a pool, the
// thread takes a slot again, and the system calls this once more.
void on_thread_exit(void*) noexcept {
  if (!t_state.has_slot) return;
  forget_entries();
  t_state.has_slot = false;
  g_taken[t_state.slot / 64].fetch_and(~(uint64_t{1} << (t_state.slot % 64)),
                                       std::memory_order_release);
}

// The other threads are gone: their slots are free. What they were in the middle of is a single
// word each, or a ring's slot that stays unused.
void after_fork_in_child() noexcept {
  for (std::atomic<uint64_t>& word : g_taken) word.store(0, std::memory_order_relaxed);
  if (t_state.has_slot) {
    g_taken[t_state.slot / 64].store(uint64_t{1} << (t_state.slot % 64), std::memory_order_relaxed);
  }
}

void init() noexcept {
  gc::g_forget_at_detach.store(forget_entries, std::memory_order_relaxed);
  g_has_key = pthread_key_create(&g_exit_key, on_thread_exit) == 0;
  pthread_atfork(nullptr, nullptr, after_fork_in_child);
}

}  // namespace

constinit thread_local std::array<Entry, kEntries> thread_entries
    __attribute__((tls_model("initial-exec"), used)){};

uint32_t thread_slot() noexcept {
  if (t_state.has_slot) return t_state.slot;
  pthread_once(&g_once, init);
  // Without a key the slot could never be given back.
  if (!g_has_key || pthread_setspecific(g_exit_key, &t_state) != 0) return kNoSlot;
  const uint32_t slot = take_slot();
  if (slot == kNoSlot) return kNoSlot;
  t_state.slot = slot;
  t_state.has_slot = true;
  return slot;
}

uint64_t fresh_epoch() noexcept {
  if (t_state.next_epoch == t_state.end_epoch) {
    t_state.next_epoch = g_next_epoch.fetch_add(kEpochBlock, std::memory_order_relaxed);
    t_state.end_epoch = t_state.next_epoch + kEpochBlock;
  }
  return t_state.next_epoch++;
}

void remember_local(const PoolHead& pool, uint64_t epoch, const Local* local) noexcept {
  entry_of(pool) = {epoch, ~reinterpret_cast<uintptr_t>(local)};
}

}  // namespace tricolor::sync::detail
