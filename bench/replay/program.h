#pragma once

// CompiledProgram: a trace compiled ahead into a flat list of operations, so that a replay decodes
// nothing.
//
// Objects are named by slots of a holder, which the replayer keeps in the heap under test: an
// object is stored into its slot when it is allocated and the slot is cleared at its recorded end,
// so that it is reachable exactly as long as it was alive. Slots are reused, last freed first, as
// registers would be.
//
// An object of 16 bytes or more also refers to one other object, so that marking has edges to
// follow. A malloc-level trace does not know references; the compiler picks the youngest object of
// a similar lifetime that ends later than the one that refers to it.
//
// [program.neutral-link]  no reference leads to an object that ends before the referring one:
// references
//                         never keep anything alive, and can be followed at any time.
//
// Immutable once compiled; any thread may read it.

#include <cstdint>
#include <vector>

#include "bench/trace/reader.h"

namespace bench::replay {

enum class Op : uint32_t {
  kAlloc = 0,        // slot; link slot; bytes
  kAllocZeroed = 1,  // the same, from calloc
  kRealloc = 2,      // the same; the slot's object is replaced
  kFree = 3,         // slot
};

inline constexpr uint32_t kNoLink = ~uint32_t{0};
inline constexpr uint32_t kMaxSlot = (uint32_t{1} << 30) - 1;
inline constexpr uint64_t kMaxBytes = ~uint32_t{0};
// Objects smaller than this hold no reference / are not referred to.
inline constexpr uint64_t kMinLinking = 16;
inline constexpr uint64_t kMinLinked = 8;

constexpr uint32_t pack(Op op, uint32_t slot) { return static_cast<uint32_t>(op) << 30 | slot; }
constexpr Op op_of(uint32_t word) { return static_cast<Op>(word >> 30); }
constexpr uint32_t slot_of(uint32_t word) { return word & kMaxSlot; }

struct ProgramInfo {
  uint64_t operations = 0;
  uint64_t allocations = 0;  // reallocations included
  uint64_t allocated_bytes = 0;
  uint64_t peak_bytes = 0;
  uint64_t links = 0;
  uint64_t words = 0;  // of code
  uint32_t slots = 0;
};

struct CompiledProgram {
  ProgramInfo info;
  std::vector<uint32_t> code;
};

// Reads the trace to its end. What is alive then ends there, the youngest first, as if the program
// freed it. Throws TraceError when the trace is damaged or is none that can be replayed from frees
// alone.
CompiledProgram compile(trace::Reader& reader);

}  // namespace bench::replay
