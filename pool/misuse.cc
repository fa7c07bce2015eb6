#include "pool/misuse.h"

#if TRICOLOR_CHECKS

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <new>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "pool/state.h"
#include "runtime/base/check.h"
#include "runtime/base/lock.h"
#include "runtime/base/memory.h"
#include "runtime/thread.h"

namespace tricolor::sync::detail {

namespace {

using runtime::fatal;

struct Record {
  uint64_t epoch;
  CallSite where;
};

// Inverted, because memory of the library that holds an address would look like a lost reference.
uintptr_t key_of(const void* object) noexcept { return ~reinterpret_cast<uintptr_t>(object); }

struct Records {
  runtime::Lock lock{runtime::LockRank::leaf};
  // Guarded by lock. [memory.no-handler] Without memory for an entry a misuse is not noticed.
  std::unordered_set<uint64_t, std::hash<uint64_t>, std::equal_to<>,
                     runtime::MallocAllocator<uint64_t>>
      live_epochs;
  std::unordered_map<uintptr_t, Record, std::hash<uintptr_t>, std::equal_to<>,
                     runtime::MallocAllocator<std::pair<const uintptr_t, Record>>>
      in_pools;
  size_t prune_at = 1024;

  bool counts(const Record& record) const { return live_epochs.count(record.epoch) != 0; }
  void prune() {
    std::erase_if(in_pools, [this](const auto& entry) { return !counts(entry.second); });
    prune_at = 1024 + 2 * in_pools.size();
  }
};

Records& records() {
  alignas(Records) static std::array<std::byte, sizeof(Records)> room;
  static auto* const all = ::new (room.data()) Records;
  return *all;
}

// Holds the lock in a runtime section: fork() then waits until it is free.
class Section {
 public:
  Section() : scope_(runtime::Thread::attached_or_fatal()), guard_(records().lock) {}

 private:
  runtime::RuntimeScope scope_;
  std::lock_guard<runtime::Lock> guard_;
};

}  // namespace

void note_epoch_begun(uint64_t epoch) noexcept {
  const Section section;
  try {
    records().live_epochs.insert(epoch);
  } catch (const std::bad_alloc&) {
    // What is put while it lasts counts as taken.
  }
}

void note_epoch_over(uint64_t epoch) noexcept {
  const Section section;
  records().live_epochs.erase(epoch);
}

void check_put(PoolHead& pool, const void* object, const char* type, CallSite where) {
  state_of(pool);  // from here on it has an epoch
  const Section section;
  Records& all = records();
  const Record record{pool.epoch.load(), where};
  const auto [at, fresh] = all.in_pools.try_emplace(key_of(object), record);
  if (!fresh && all.counts(at->second)) {
    fatal(
        "pool: the object at %p is put twice into a sync::Pool<%s>: at %s:%u, and before at %s:%u",
        object, type, where.file, where.line, at->second.where.file, at->second.where.line);
  }
  at->second = record;
  if (all.in_pools.size() > all.prune_at) all.prune();
}

void check_taken(const void* object) noexcept {
  const Section section;
  records().in_pools.erase(key_of(object));
}

void check_lease_taken(PoolHead& pool, CallSite where) noexcept {
  PoolState& state = *pool.state.load(std::memory_order_acquire);
  state.lease_file.store(where.file, std::memory_order_relaxed);
  state.lease_line.store(where.line, std::memory_order_relaxed);
  state.leases.fetch_add(1, std::memory_order_relaxed);
}

void check_lease_ended(PoolHead& pool) noexcept {
  pool.state.load(std::memory_order_acquire)->leases.fetch_sub(1, std::memory_order_relaxed);
}

void check_no_leases(const PoolHead& pool, const void* address, const char* type) noexcept {
  const PoolState* const state = pool.state.load(std::memory_order_acquire);
  const int64_t leases = state == nullptr ? 0 : state->leases.load(std::memory_order_relaxed);
  if (leases == 0) return;
  fatal(
      "pool: the sync::Pool<%s> at %p is destroyed while %lld lease%s out, the last one taken "
      "at %s:%u",
      type, address, static_cast<long long>(leases), leases == 1 ? " is" : "s are",
      state->lease_file.load(std::memory_order_relaxed),
      state->lease_line.load(std::memory_order_relaxed));
}

}  // namespace tricolor::sync::detail

#endif
