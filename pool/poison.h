#pragma once

// Poison: what the checking build does to the contents of an object while it lies in a pool.
//
// Words that nobody may read now are overwritten, so that a use after put fails early, and what was
// written meanwhile shows when the object is taken again. The contents are set aside:
//
//   leaf          in memory of the checks, inverted
//   references    in a collected array that the object's first word refers to: they live as long as it does
//   destructor    stay, for it may run any time; a sum tells whether they have changed
//
// Threads: whoever has the object: before it is put, after it was taken.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/base/memory.h"

namespace tricolor::sync::detail {

struct Poison {
  enum class How : uint8_t { kNone, kLeaf, kReferences, kSum };
  How how = How::kNone;
  std::size_t bytes = 0;
  uint64_t sum = 0;
  std::vector<uint64_t, runtime::MallocAllocator<uint64_t>> inverted;  // [memory.no-handler]
  uintptr_t inverted_array = 0;
};

// Nothing for what is not the start of a collected object, and where memory is short.
Poison poison(void* object) noexcept;

// Whether the object is still as poison() has left it, at its beginning; not told by a sum.
bool is_poisoned(void* object, const Poison& poison) noexcept;

// Brings the contents back. The offset of the first word that was changed meanwhile, or -1.
std::ptrdiff_t unpoison(void* object, const Poison& poison) noexcept;

}  // namespace tricolor::sync::detail
