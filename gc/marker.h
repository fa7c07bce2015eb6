#pragma once

// Marker: one consumer of the worklist: scans grey objects and marks what they refer to.
//
// Work flows through three stages, so that every cache miss is asked for long before it is needed:
//
//   stack of candidate words -> ring of cells whose mark words are being fetched
//                            -> ring of marked objects whose contents are being fetched -> scan -> stack
//
// No recursion; a large object is scanned in pieces that any consumer may take.
//
// [marker.once]  the atomic or on the mark word decides who scans an object; a second scan would be harmless.
// Threads: one Marker per thread, in a worker, in an assist (a runtime section), or in the collector.

#include <array>
#include <cstddef>
#include <cstdint>

#include "gc/worklist.h"
#include "runtime/heap/heap_map.h"

namespace tricolor::gc {

// What marking has come to, as counted by one consumer.
struct MarkCounts {
  int64_t scan_work = 0;          // bytes scanned
  int64_t marked_bytes = 0;       // bytes of objects marked
  int64_t marked_scan_bytes = 0;  // those of kinds that are scanned
  int64_t objects = 0;            // marked

  void add(const MarkCounts& other) noexcept {
    scan_work += other.scan_work;
    marked_bytes += other.marked_bytes;
    marked_scan_bytes += other.marked_scan_bytes;
    objects += other.objects;
  }
};

class Marker {
 public:
  // A piece of a large object.
  static constexpr size_t kPieceBytes = size_t{128} << 10;

  Marker() noexcept;
  // What is left goes back to the worklist.
  ~Marker();
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;

  // Scans until the worklist and everything found are done, or until about `work` bytes have been
  // scanned. True when it ended because nothing was left. Becomes active only while it has work.
  bool drain(int64_t work) noexcept;

  // Marks the object that `address` points into and remembers to scan it. For roots; the caller
  // drains or flushes.
  void mark_address(const void* address) noexcept;
  // Marks what the contents of the object at `object` refer to, but not the object.
  void scan_contents(char* object) noexcept;
  // Everything found so far goes to the worklist.
  void flush() noexcept;

  MarkCounts take_counts() noexcept;

 private:
  void scan_item(uintptr_t item) noexcept;
  void scan_words(const char* lo, const char* hi) noexcept;
  void push(uintptr_t item) noexcept;
  bool refill() noexcept;

  WorkBlock* block_ = nullptr;
  bool active_ = false;
  MarkCounts counts_;
};

}  // namespace tricolor::gc
