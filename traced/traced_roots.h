#pragma once

// TracedRoots: traced memory, ranges and globals as the collector reads them.
//
// Work goes through the collector's worklist as items of 64 bits: an address, and above bit 48 a
// length in words. Of a chunk live cells are read, other memory as it is.
//
// Where the system notes writes to pages, the first scan arms all traced memory before it is read,
// and what is read again are the pages written since: beside the threads as long as that makes them
// fewer, the last of them in the stop. Memory that is new since counts as written.
//
// [tracked.arm-first]  a page is armed before it is read, each time: a store that the reader missed has made it
//                      dirty.
// [tracked.doubt]      where arming fails, all of traced memory is read in the stop.
// Threads: as gc/open_roots.h says.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "gc/open_roots.h"
#include "runtime/os/dirty_pages.h"
#include "traced/chunk.h"
#include "traced/meta_array.h"

namespace tricolor::traced {

class TracedRoots final : public gc::OpenRoots {
 public:
  void begin_cycle() noexcept override;
  void queue_first_scan() noexcept override;
  bool prepare_stop() noexcept override;
  bool queue_stop() noexcept override;
  size_t items_left() const noexcept override { return items_.load(std::memory_order_acquire); }
  void scan(gc::Marker& marker, uint64_t item) noexcept override;
  void visit_all(Visit visit, void* context, bool standing) noexcept override;
  bool visit_standing(Visit visit, void* context) noexcept override;
  void end_cycle() noexcept override;
  bool is_read(const void* address) noexcept override;
  bool is_traced(const void* address) const noexcept override;
  void release_free_memory() noexcept override;
  // In the child of fork().
  void forget_pages() noexcept;
  Figures figures() const noexcept override;

 private:
  static constexpr size_t kPieceBytes = size_t{256} << 10;
  static constexpr unsigned kLengthShift = 48;
  static constexpr size_t kFewPages = 64;
  static constexpr int kMostPrecleans = 5;

  void begin_reading() noexcept;
  void add(uint64_t item) noexcept;
  void flush() noexcept;
  void add_memory(const char* lo, const char* hi) noexcept;
  void add_traced_memory() noexcept;
  void add_chunk(Chunk& chunk) noexcept;
  void start_tracking() noexcept;
  void arm_new() noexcept;
  bool arm_region(char* lo, size_t bytes) noexcept;
  void add_written() noexcept;
  void add_written_of(char* lo, size_t bytes) noexcept;
  bool is_armed(const char* mapping) const noexcept;
  template <class Act>
  void for_each_standing(Act act) noexcept;

  // The collector's own.
  struct Mapping {
    char* lo;
    size_t bytes;
  };
  bool reading_ = false;
  runtime::os::DirtyPages pages_;
  bool may_track_ = true;
  bool tracks_ = false;       // in this cycle
  size_t armed_chunks_ = 0;   // of the list's beginning
  MetaArray<Mapping> armed_;  // mappings, by address
  MetaArray<Mapping> fresh_;
  int precleans_ = 0;
  size_t written_ = 0;  // pages, by the last look
  std::array<uint64_t, 510> queue_{};
  size_t queued_ = 0;

  // Added to before an item is in the worklist, taken from (release) behind its scan.
  std::atomic<size_t> items_{0};
  std::atomic<int64_t> scanned_{0};  // relaxed: a figure
};

extern TracedRoots& g_traced_roots;

}  // namespace tricolor::traced
