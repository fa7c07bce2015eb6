#pragma once

// MarkStack: the private stack of one marker: candidate edges, as offsets from the base of the heap.
//
// An edge has not been looked up yet: it may point into the middle of an object, at a free cell, or
// at an object that is marked already.

#include <cstddef>
#include <cstdint>

namespace tricolor::gc {

struct MarkStack {
  // Room for the words of the largest small object above the mark at which a marker spills.
  static constexpr size_t kCapacity = 16384 - 2;
  static constexpr size_t kSpillAt = kCapacity - 4096;

  MarkStack* next;
  uint64_t size;
  uint64_t edges[kCapacity];
};
static_assert(sizeof(MarkStack) == size_t{128} << 10);

}  // namespace tricolor::gc
