#pragma once

// Chunks: where spans of cells and large cells come from, and what an address belongs to.
//
// A cell of more than kLargestCell bytes is a run of whole blocks, one of more than kLargestRun a
// mapping of its own.
//
// [chunks.addresses]  a chunk stays mapped for ever, and a mapping of its own as long as a cycle may read it: one
//                     that is freed meanwhile loses its memory at once and its addresses when the cycle is over.
// [chunks.standing]   what a stop reads (the list of chunks, the blocks' entries, live bytes, the table of mappings)
//                     is whole between any two steps of a thread, which may have been stopped with the lock held: an
//                     entry is complete before it can be found and is taken out before what it describes goes.
// Threads: any. In a stop the collector reads, and takes no lock.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"
#include "traced/chunk.h"

namespace tricolor::traced {

inline constexpr size_t kLargestRun = size_t{1} << 20;
inline constexpr unsigned kAddressBits = 48;
inline constexpr uintptr_t kGranules = uintptr_t{1} << (kAddressBits - kChunkShift);

enum class Region : uint8_t { kForeign, kChunk, kMapping };

// What each 4 MiB of the address space hold. Stored under the lock of g_chunks; an address of ours
// is seen by nobody before its entry, so relaxed reads do. Not a member: this is zero and takes no
// room in the file.
extern uint8_t g_regions[kGranules];

class Chunks {
 public:
  // What lies at `address`; kMapping: a mapping of its own may begin in these 4 MiB.
  Region region_of(const void* address) const noexcept {
    const uintptr_t granule = reinterpret_cast<uintptr_t>(address) >> kChunkShift;
    return granule < kGranules
               ? static_cast<Region>(__atomic_load_n(&g_regions[granule], __ATOMIC_RELAXED))
               : Region::kForeign;
  }
  bool in_chunk(const void* address) const noexcept { return region_of(address) == Region::kChunk; }

  // A span of fresh cells; nullptr when memory is gone.
  Span* take_span(unsigned cls) noexcept;
  void give_span(Span& span) noexcept;

  // A large cell, live; nullptr when memory is gone. `alignment`: a power of two.
  void* take_large(size_t bytes, size_t alignment) noexcept;
  // A large cell of whole blocks, whose live byte is cleared.
  void give_large(void* cell) noexcept;
  // False: no mapping of ours begins there.
  [[nodiscard]] bool give_mapping(void* cell) noexcept;

  // All memory that is free goes back to the system.
  void release_free() noexcept;

  // [chunks.addresses] From begin to end mappings stay.
  void begin_reading() noexcept;
  void end_reading() noexcept;

  size_t count() const noexcept { return count_.load(std::memory_order_acquire); }
  Chunk* chunk(size_t number) const noexcept { return list_[number]; }
  // Calls visit(address, bytes) for each mapping.
  template <class Visit>
  void for_each_mapping(Visit visit) const noexcept;

  size_t bytes_in_use() const noexcept { return in_use_.load(std::memory_order_relaxed); }
  size_t bytes_mapped() const noexcept { return mapped_.load(std::memory_order_relaxed); }
  runtime::Lock& lock() noexcept { return lock_; }

 private:
  static constexpr size_t kMostChunks = size_t{1} << 24;  // 64 TiB

  struct Mapping {
    std::atomic<char*> cell;  // nullptr: free; kGone: was in use
    size_t bytes;
    char* start;
    size_t mapped;
  };
  struct Table {
    size_t bytes;  // of this
    size_t places;
    size_t taken;  // kGone included
    Mapping at[1];
  };
  struct Unmapped {
    Unmapped* next;
    size_t bytes;
  };
  static inline char* const kGone = reinterpret_cast<char*>(1);

  Span* take_run_locked(unsigned blocks, uint8_t kind) noexcept;
  void give_run_locked(Chunk& chunk, Span& span) noexcept;
  Chunk* add_chunk_locked() noexcept;
  void release_free_locked() noexcept;
  void* take_mapping(size_t bytes, size_t alignment) noexcept;
  bool add_mapping_locked(const char* cell, size_t bytes, char* start, size_t mapped) noexcept;
  bool grow_table_locked() noexcept;
  static size_t place_of(const Table& table, const void* cell) noexcept;
  void set_region(const void* address, Region region) noexcept;

  runtime::Lock lock_{runtime::LockRank::traced_chunks};
  Chunk** list_ = nullptr;          // set before count_ is not 0
  uint8_t* longest_run_ = nullptr;  // of each chunk, at most; guarded by lock_
  std::atomic<size_t> count_{0};    // stored (release) after the entry
  size_t first_with_room_ = 0;      // guarded by lock_: a hint
  size_t resident_free_ = 0;        // guarded by lock_: blocks
  // Stored (release) when it is complete; the one before it is unmapped only after that.
  std::atomic<Table*> table_{nullptr};
  bool reading_ = false;           // guarded by lock_
  Unmapped* unmapped_ = nullptr;   // guarded by lock_
  std::atomic<size_t> in_use_{0};  // written under lock_
  std::atomic<size_t> mapped_{0};
};

extern Chunks g_chunks;

template <class Visit>
void Chunks::for_each_mapping(Visit visit) const noexcept {
  const Table* const table = table_.load(std::memory_order_acquire);
  if (table == nullptr) return;
  for (size_t i = 0; i < table->places; ++i) {
    char* const cell = table->at[i].cell.load(std::memory_order_acquire);
    if (cell != nullptr && cell != kGone) visit(cell, table->at[i].bytes);
  }
}

}  // namespace tricolor::traced
