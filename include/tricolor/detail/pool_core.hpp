// What the inlined paths of sync::Pool know of a pool, whatever its type of object.
//
//     pool:    PoolHead { epoch, state --> PoolState }     the rest of it: pool/state.h
//     thread:  Entry { epoch, local --> Local { private_, counters, chain of rings } }
//
// An epoch names one generation of one pool, once: a generation ends when the hook turns it into
// the victim (or drain() drops it), and its number never comes back. So one compare tells whether
// the entry a thread finds belongs to this pool, to this instance of it, and to its current
// generation.
//
// [pool.local-first]  The local's address is in a register of an attached thread before the epochs
//                     are compared. Entries are not traced: if they are equal, the generation was
//                     current at the compare, so the local was reachable until then; from the load
//                     on the register keeps it.
// [pool.attached]     A thread that is not attached remembers nothing: its entries are cleared as it
//                     detaches (gc::g_forget_at_detach), and filled only by one that is.
// [pool.owner]        private_ and the head end of a local's chain are touched by the thread that
//                     owns the slot alone, in victims too. A rotation in the middle of an operation
//                     turns its local into a victim's: the operation goes on and nothing is lost.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <tricolor/atomic.hpp>
#include <tricolor/detail/config.hpp>
#include <tricolor/detail/thread_local.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/root.hpp>

namespace tricolor::sync {

namespace detail {

inline constexpr std::size_t kFalseSharing = 128;  // lines are fetched in pairs

// Of one thread and pool. Written by the owner alone, added up by stats(): single words, and a
// count that is a moment old is harmless.
struct alignas(kFalseSharing) PoolCounters {
  std::uint64_t private_hits, shared_hits, steals, victim_hits, misses;
  std::uint64_t private_puts, shared_puts, discarded;
};

TRICOLOR_ALWAYS_INLINE void add_one(std::uint64_t& counter) noexcept {
#if TRICOLOR_TSAN
  gc::detail::store_word(counter, counter + 1);
#else
  ++counter;  // one instruction, which volatile would make three
#endif
}

struct Ring;

// One thread's part of one generation of a pool.
struct alignas(kFalseSharing) Local {
  gc::ptr<void> private_;
  gc::ptr<PoolCounters> counters;
  gc::ptr<Ring> head;
  // On a line of its own: other threads read it when they look for something to steal.
  alignas(kFalseSharing / 2) gc::atomic<Ring> tail;
};
static_assert(sizeof(Local) == kFalseSharing);

struct PoolState;

inline constexpr std::uint64_t kNoEpoch = ~std::uint64_t{0};  // that of no entry

// The part of a pool that is not collected.
struct PoolHead {
  // Compared by the inlined paths: the epoch, or kNoEpoch for a pool whose operations have more to
  // do than that. In front, because they pay for every load.
  std::atomic<std::uint64_t> inlined_epoch{kNoEpoch};
  // Stored under the state's lock (seq_cst). Relaxed is enough on the fast path: an operation that
  // still reads the old value works on what becomes a victim.
  std::atomic<std::uint64_t> epoch{kNoEpoch};
  // Made at the first use: stored (acq_rel) by the thread that made it, loaded (acquire) by all.
  std::atomic<PoolState*> state{nullptr};
  gc::root<PoolState> owner;  // keeps *state
  const bool inlined;
};

// Where a thread remembers its local of a pool. The address is stored inverted: it is no reference.
struct Entry {
  std::uint64_t epoch;  // 0: none
  std::uintptr_t inverted_local;
};
inline constexpr std::size_t kEntries = 32;

extern TRICOLOR_API constinit thread_local std::array<Entry, kEntries> thread_entries
    __attribute__((tls_model("initial-exec")));

TRICOLOR_ALWAYS_INLINE Entry& entry_of(const PoolHead& pool) noexcept {
#if defined(__aarch64__)
  std::size_t offset;  // as this_thread()
  asm("adrp %0, :gottprel:_ZN8tricolor4sync6detail14thread_entriesE\n\t"
      "ldr %0, [%0, :gottprel_lo12:_ZN8tricolor4sync6detail14thread_entriesE]"
      : "=r"(offset));
  Entry* const entries = reinterpret_cast<Entry*>(gc::detail::thread_pointer() + offset);
#else
  Entry* const entries = thread_entries.data();
#endif
  return entries[reinterpret_cast<std::uintptr_t>(&pool) / 64 % kEntries];
}

// The calling thread's local of the pool's current generation, if it is at hand. `epoch` is one of
// the pool's two. [pool.attached] spares the test whether the thread is one of the collector's.
TRICOLOR_ALWAYS_INLINE bool local_at_hand(const PoolHead& pool,
                                          const std::atomic<std::uint64_t>& epoch,
                                          Local*& local) noexcept {
  const Entry& entry = entry_of(pool);
  local = reinterpret_cast<Local*>(~entry.inverted_local);
  asm volatile("" : "+r"(local) : : "memory");  // [pool.local-first]
  return __builtin_expect(epoch.load(std::memory_order_relaxed) == entry.epoch, 1);
}

// The object in the thread's private slot, or nullptr.
TRICOLOR_ALWAYS_INLINE void* take_private(const PoolHead& pool,
                                          const std::atomic<std::uint64_t>& epoch) noexcept {
  Local* local;
  if (!local_at_hand(pool, epoch, local)) return nullptr;
  void* const object = local->private_;
  if (__builtin_expect(object == nullptr, 0)) return nullptr;
  local->private_ = nullptr;
  add_one(local->counters->private_hits);
  return object;
}

// False when the private slot is not at hand, or full.
TRICOLOR_ALWAYS_INLINE bool put_private(const PoolHead& pool,
                                        const std::atomic<std::uint64_t>& epoch,
                                        void* object) noexcept {
  Local* local;
  if (!local_at_hand(pool, epoch, local)) return false;
  if (__builtin_expect(local->private_ != nullptr, 0)) return false;
  local->private_ = object;
  add_one(local->counters->private_puts);
  return true;
}

}  // namespace detail

// Where in the program a call stands.
struct CallSite {
  const char* file;
  unsigned line;
  static constexpr CallSite current(const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE()) noexcept {
    return {file, line};
  }
};

// What a pool has done since it was made. Exact for what happened before the call, but for threads
// that are using the pool meanwhile.
struct PoolStats {
  std::uint64_t private_hits = 0;  // gets served from the thread's private slot
  std::uint64_t shared_hits = 0;   // from the thread's own rings
  std::uint64_t steals = 0;        // from another thread's rings
  std::uint64_t victim_hits = 0;   // from what was there before the last collection
  std::uint64_t misses = 0;        // nothing was found: new_fn was called, if there is one
  std::uint64_t puts = 0;          // discarded ones included
  std::uint64_t discarded = 0;  // puts that were refused, by a predicate, a bound or lack of memory

  std::uint64_t gets() const noexcept {
    return private_hits + shared_hits + steals + victim_hits + misses;
  }
  PoolStats& operator+=(const PoolStats& other) noexcept {
    private_hits += other.private_hits;
    shared_hits += other.shared_hits;
    steals += other.steals;
    victim_hits += other.victim_hits;
    misses += other.misses;
    puts += other.puts;
    discarded += other.discarded;
    return *this;
  }
  // The share of gets that reused an object; 0 before the first.
  double hit_rate() const noexcept {
    const std::uint64_t all = gets();
    return all == 0 ? 0.0 : static_cast<double>(all - misses) / static_cast<double>(all);
  }
};

namespace detail {

// Ends the pool: what it held is garbage at once.
TRICOLOR_API void close_pool(PoolHead& pool) noexcept;
TRICOLOR_API void drain_pool(PoolHead& pool) noexcept;
[[nodiscard]] TRICOLOR_API PoolStats pool_stats(const PoolHead& pool) noexcept;

enum class Reach : std::uint8_t { kLocal, kEverywhere };
// An object, or nullptr: then a miss has been counted. std::bad_alloc.
[[nodiscard]] TRICOLOR_API void* take_slow(PoolHead& pool, Reach reach);
// `most_shared`: how many objects the thread's rings may hold.
TRICOLOR_API void put_slow(PoolHead& pool, void* object, std::uint32_t most_shared) noexcept;
TRICOLOR_API void count_discarded(PoolHead& pool) noexcept;

#if TRICOLOR_CHECKS
// The checking build: an object put twice, written while it is in a pool, published by a
// gc::snapshot meanwhile; a pool destroyed while leases are out. They report and abort.
TRICOLOR_API void check_put(PoolHead& pool, void* object, const char* type, CallSite where);
TRICOLOR_API void check_taken(void* object) noexcept;
// `now` is about to be published, `before` is not any more; either may be nullptr.
TRICOLOR_API void check_published(const void* now, const void* before, const char* type,
                                  CallSite where);
TRICOLOR_API void check_lease_taken(PoolHead& pool, CallSite where) noexcept;
TRICOLOR_API void check_lease_ended(PoolHead& pool) noexcept;
TRICOLOR_API void check_no_leases(const PoolHead& pool, const void* address,
                                  const char* type) noexcept;
#endif

}  // namespace detail
}  // namespace tricolor::sync

template <>
struct tricolor::gc::is_leaf<tricolor::sync::detail::PoolCounters> : std::true_type {};
