#include "pool/misuse.h"

#if TRICOLOR_CHECKS

#if __has_include(<execinfo.h>)
#include <execinfo.h>
#endif
#include <unistd.h>

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <new>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "pool/poison.h"
#include "pool/state.h"
#include "runtime/base/check.h"
#include "runtime/base/lock.h"
#include "runtime/base/memory.h"
#include "runtime/thread.h"

namespace tricolor::sync::detail {

namespace {

using runtime::fatal;
using runtime::report;

// Who called, for a report.
struct Stack {
  std::array<void*, 16> frames;
  int count = 0;

  static Stack here() noexcept {
    Stack stack;
#if __has_include(<execinfo.h>)
    stack.count = backtrace(stack.frames.data(), static_cast<int>(stack.frames.size()));
#endif
    return stack;
  }
  void print(const char* what) const noexcept {
    report("pool: %s:", what);
#if __has_include(<execinfo.h>)
    backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
#endif
  }
};

struct Record {
  uint64_t epoch;
  CallSite where;
  const char* type;
  Stack stack;
  Poison poison;
};

// Inverted, because memory of the library that holds an address would look like a lost reference.
uintptr_t key_of(const void* object) noexcept { return ~reinterpret_cast<uintptr_t>(object); }
void* object_of(uintptr_t key) noexcept {
  return reinterpret_cast<void*>(~key);  // NOLINT(performance-no-int-to-ptr)
}

struct Records {
  runtime::Lock lock{runtime::LockRank::leaf};
  // Guarded by lock. [memory.no-handler] Without memory for an entry a misuse is not noticed.
  std::unordered_set<uint64_t, std::hash<uint64_t>, std::equal_to<>,
                     runtime::MallocAllocator<uint64_t>>
      live_epochs;
  std::unordered_map<uintptr_t, Record, std::hash<uintptr_t>, std::equal_to<>,
                     runtime::MallocAllocator<std::pair<const uintptr_t, Record>>>
      in_pools;
  std::unordered_multimap<uintptr_t, CallSite, std::hash<uintptr_t>, std::equal_to<>,
                          runtime::MallocAllocator<std::pair<const uintptr_t, CallSite>>>
      published;  // by gc::snapshot
  size_t prune_at = 1024;

  bool counts(const Record& record) const { return live_epochs.count(record.epoch) != 0; }
  void prune() {
    // A put that raced with drain() is in a later generation than it says: its contents are ours.
    std::erase_if(in_pools, [this](const auto& entry) {
      return !counts(entry.second) && !is_poisoned(object_of(entry.first), entry.second.poison);
    });
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

void check_put(PoolHead& pool, void* object, const char* type, CallSite where) {
  state_of(pool);  // from here on it has an epoch
  const Stack stack = Stack::here();
  {
    const Section section;
    Records& all = records();
    Record record{pool.epoch.load(), where, type, stack, {}};
    if (const auto there = all.published.find(key_of(object)); there != all.published.end()) {
      stack.print("put at");
      fatal(
          "pool: the object at %p is put into a sync::Pool<%s> at %s:%u, while a gc::snapshot has "
          "it, published at %s:%u: readers may be in the middle of it",
          object, type, where.file, where.line, there->second.file, there->second.line);
    }
    const auto [at, fresh] = all.in_pools.try_emplace(key_of(object), record);
    if (!fresh && all.counts(at->second)) {
      at->second.stack.print("first put at");
      stack.print("second put at");
      fatal(
          "pool: the object at %p is put twice into a sync::Pool<%s>: at %s:%u, and before at "
          "%s:%u",
          object, type, where.file, where.line, at->second.where.file, at->second.where.line);
    }
    at->second = std::move(record);
    if (all.in_pools.size() > all.prune_at) all.prune();
  }
  // Outside of the lock, for it allocates; the object is in no pool yet.
  Poison aside = poison(object);
  {
    const Section section;
    const auto at = records().in_pools.find(key_of(object));
    if (at != records().in_pools.end()) {
      at->second.poison = std::move(aside);
      return;
    }
  }
  unpoison(object, aside);  // the record is gone: drain() and a prune were in between
}

void check_taken(void* object) noexcept {
  Record record{};
  {
    const Section section;
    const auto at = records().in_pools.find(key_of(object));
    if (at == records().in_pools.end()) return;
    record = std::move(at->second);
    records().in_pools.erase(at);
  }
  const std::ptrdiff_t changed = unpoison(object, record.poison);
  if (changed < 0) return;
  record.stack.print("put at");
  Stack::here().print("found at");
  fatal(
      "pool: the object at %p was used after it was put into a sync::Pool<%s> at %s:%u: its word "
      "at offset %td has been written since",
      object, record.type, record.where.file, record.where.line, changed);
}

void check_published(const void* now, const void* before, const char* type, CallSite where) {
  const Section section;
  Records& all = records();
  if (before != nullptr) {
    const auto at = all.published.find(key_of(before));
    if (at != all.published.end()) all.published.erase(at);
  }
  if (now == nullptr) return;
  const auto there = all.in_pools.find(key_of(now));
  if (there != all.in_pools.end() && all.counts(there->second)) {
    there->second.stack.print("put at");
    Stack::here().print("published at");
    fatal(
        "pool: the object at %p is published by a gc::snapshot<%s> at %s:%u, while a pool has it, "
        "put at %s:%u: its next user will change it",
        now, type, where.file, where.line, there->second.where.file, there->second.where.line);
  }
  all.published.emplace(key_of(now), where);
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
