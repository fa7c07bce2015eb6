#pragma once

// AddressTable: which event allocated the block at an address. Sharded, so that threads seldom
// meet; every shard is an open-addressing table in pages of its own, because it lives under malloc.
//
// Threads: any. A shard's mutex guards its cells; the fork handlers take all of them.

#include <pthread.h>

#include <cstddef>
#include <cstdint>

namespace tools::recorder {

class AddressTable {
 public:
  static constexpr uint64_t kNone = ~uint64_t{0};

  // Returns the ticket that was filed under the address before, or kNone. When the system has no
  // memory for a larger table, the block stays unknown: sets `lost` and files nothing.
  uint64_t insert(const void* address, uint64_t ticket, bool& lost);
  // Returns and forgets the ticket, kNone when the address is unknown.
  uint64_t remove(const void* address);

  void lock_all();
  void unlock_all();
  // Forgets everything; the caller holds all locks.
  void clear_locked();

 private:
  static constexpr size_t kShards = 64;

  struct Cell {
    uintptr_t address;  // 0 is a free cell
    uint64_t ticket;
  };
  struct alignas(64) Shard {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    Cell* cells = nullptr;
    size_t capacity = 0;  // a power of two, or 0
    size_t used = 0;
  };

  static uint64_t hash(uintptr_t address) { return (address >> 4) * 0x9e3779b97f4a7c15u; }
  static size_t home(const Shard& shard, uintptr_t address) {
    return (hash(address) >> 20) & (shard.capacity - 1);
  }
  Shard& shard_of(uintptr_t address) { return shards_[hash(address) >> 58]; }
  static bool grow_locked(Shard& shard);

  Shard shards_[kShards];
};

}  // namespace tools::recorder
