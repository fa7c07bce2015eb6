#pragma once

// Marker: one consumer of the worklist: scans grey objects and marks what they refer to.
//
// Edges flow through two rings, so that every cache miss is asked for long before it is needed:
//
//   edges (LIFO stack)
//     -> [run bypass]  the edge lies beside the object just scanned, and most recent ones did too
//     -> mark ring     the cell is known, its mark word is being fetched
//     -> object ring   the object is marked, its lines are being fetched
//     -> scan          pushes the object's edges, the first word's on top
//
// Rings turn the one miss per object of a depth-first walk into many at once: worth four times on a
// shuffled graph. A walk in allocation order has no misses to hide and loses a third to the rings,
// hence the bypass. No recursion; a large object is scanned in pieces that any consumer may take.
//
// [marker.once]   the atomic or on the mark word comes after a plain test: two markers that race scan an object twice,
//                 which is harmless and rare.
// [marker.active] between calls nothing is in a ring: what is left lies on the stack, and the marker stays active
//                 until that is empty or flushed.
// Threads: one Marker per thread, in a worker, in an assist (a runtime section), or in the collector.

#include <cstddef>
#include <cstdint>

#include "gc/mark_stack.h"
#include "gc/worklist.h"
#include "runtime/heap/heap_map.h"

namespace tricolor::gc {

// What marking has come to, as counted by one consumer.
struct MarkCounts {
  int64_t scan_work = 0;          // bytes scanned
  int64_t marked_bytes = 0;       // bytes of objects marked
  int64_t marked_scan_bytes = 0;  // those of kinds that are scanned
  int64_t objects = 0;            // marked
};

class Marker {
 public:
  // A piece of a large object.
  static constexpr size_t kPieceBytes = size_t{128} << 10;

  Marker() noexcept = default;
  // What is left goes back to the worklist.
  ~Marker() { flush(); }
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;

  // Scans until the worklist and everything found are done, or until about `work` bytes have been
  // scanned. True when it ended because nothing was left. Becomes active only while it has work.
  bool drain(int64_t work) noexcept;

  // Remembers to mark and scan the object that `address` points into, if it lies in the heap. For
  // roots.
  void add_edge(const void* address) noexcept;
  // Remembers to mark what the object at `object` refers to, but not the object, even if it refers
  // to itself.
  void add_contents(const char* object) noexcept;
  // Remembers to mark what these bytes of an object refer to, at most kMaxSmallSize of them.
  void scan_part(runtime::Cell cell, const char* from, size_t bytes) noexcept;
  // The same of memory outside of the heap, and as much as there is (the stack spills).
  void scan_memory(const char* from, size_t bytes) noexcept;
  // Everything remembered goes to the worklist.
  void flush() noexcept;

  MarkCounts take_counts() noexcept;

 private:
  struct Target;

  bool ensure_stack() noexcept;
  void put_contents() noexcept;
  void spill(size_t keep) noexcept;
  bool refill() noexcept;
  void scan_block(WorkBlock& block) noexcept;
  void scan_words(runtime::Cell cell, const char* lo, const char* hi) noexcept;
  void scan_range(const char* lo, const char* hi, uint64_t self, uint64_t size) noexcept;
  void scan_piece(const char* from) noexcept;
  void add_large(uint64_t offset) noexcept;
  void run(int64_t work) noexcept;

  MarkStack* stack_ = nullptr;
  bool active_ = false;
  // Objects of add_contents() that the worklist has not got yet.
  size_t contents_count_ = 0;
  uint64_t contents_[256];
  MarkCounts counts_;
};

}  // namespace tricolor::gc
