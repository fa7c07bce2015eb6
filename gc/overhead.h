#pragma once

// Overhead: what of a memory limit the live heap cannot have, for the pacer.
//
// [overhead.pages]      free pages do not count, though they are resident: the heap grows into them before it asks the
//                       system for more, and where it cannot, the page heap returns them ([pages.limit]). Counted, they
//                       would leave no room between the live heap and its goal once the limit is reached, and cycles
//                       would run back to back.
// [overhead.cells]      free cells do count, but not for good: new objects fill them. So the goal is to be computed
//                       anew when it is reached, and filled() says how much of the heap came into cells that were
//                       there.
// [overhead.allowance]  where the free cells would leave too little room, a sixteenth of the live heap, or half of
//                       themselves, is allowed beyond the limit: as of the sweep, and less as soon as there is room.
// Pure arithmetic on bytes. Threads: one at a time, the caller sees to it.

#include <cstdint>

namespace tricolor::gc {

// The heap at one moment.
struct HeapBytes {
  int64_t limit = 0;   // kNoMemoryLimit for none
  int64_t tables = 0;  // the collector's own
  int64_t in_use = 0;  // pages of spans: [overhead.pages]
  int64_t live = 0;    // marked by the last cycle, or allocated since
  int64_t marked = 0;  // by the last cycle
};

class Overhead {
 public:
  // Everything is swept: what is in use and not live are cells for new objects. What is allocated
  // while the sweep lasts counts as filled.
  void swept(const HeapBytes& heap) noexcept;
  // The limit has changed, nothing else.
  void limit_changed(const HeapBytes& before, const HeapBytes& heap) noexcept;

  int64_t bytes(const HeapBytes& heap) const noexcept;
  // At most what was allocated since the last cycle: the bytes in use shrink also when large
  // objects are destroyed.
  int64_t filled(const HeapBytes& heap) const noexcept;
  // As of the last sweep, without what was filled while it lasted.
  int64_t when_swept() const noexcept { return when_swept_; }

 private:
  void allow(const HeapBytes& heap) noexcept;

  int64_t least_room_ = 0;  // from the live heap to its goal
  int64_t allowance_ = 0;
  int64_t when_swept_ = 0;
};

}  // namespace tricolor::gc
