#pragma once

// CompiledProgram: a trace compiled ahead into flat lists of operations, so that a replay decodes
// nothing. One list a lane; a lane is replayed by one thread. The lists are kept as code (code.h).
//
// Objects have names, numbers that are reused. References from outside the heap lie in registers,
// which the replayer keeps in pages that are objects of the heap under test.
//
// A trace of allocations and frees: an object's name is the number of the register that holds it
// from its allocation to its recorded end, so that it is reachable exactly as long as it was alive.
// An object of 16 bytes or more also refers to one other, so that marking has edges to follow: the
// compiler picks the youngest object of a similar lifetime that ends later than the one that refers
// to it.
//
// A trace with reference stores and roots: the recorded ones are replayed. An object hangs from the
// objects and roots that refer to it; where none does although the recorded program used it later
// (it lay on a stack), from one of the newest kWindow objects of its thread, which the replayer has
// on its stack, or from a register until something refers to it again.
//
// [program.neutral-link]  no invented reference leads to an object that ends before the referring
//                         one: such references never keep anything alive, and can be followed at
//                         any time.
// [program.anchored]      whatever an operation names is reachable from a register, or one of its
//                         thread's newest kWindow objects, at that operation.
// [program.order]         an operation waits for every earlier one of another lane that names the
//                         same object; nothing else orders lanes.
//
// Immutable once compiled; any thread may read it.

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "bench/trace/reader.h"

namespace bench::replay {

// The first word of an operation is pack(op, number).
enum class Op : uint32_t {
  kAlloc,        // name; link's name; bytes
  kAllocZeroed,  // the same, from calloc
  kRealloc,      // the same; bytes before. The object of that name is replaced
  kFree,         // name; bytes
  kNew,          // name; bytes; word of the tag; first word of data. Zero elsewhere
  kNewLeaf,      // name; bytes. It will never hold a reference
  kStore,        // name; word; target's name
  kRoot,         // register; target's name
  kEnd,          // name; word of the tag; bytes
  kSignal,       // 0. Other lanes wait for this point
  kWait,         // lane; how many signals it has to have given
};

inline constexpr uint32_t kNone = ~uint32_t{0};  // no link, no target, no tag
inline constexpr uint32_t kMaxName = (uint32_t{1} << 28) - 2;
inline constexpr uint64_t kMaxBytes = ~uint32_t{0};
// Objects smaller than this hold no invented reference / are not referred to by one.
inline constexpr uint64_t kMinLinking = 16;
inline constexpr uint64_t kMinLinked = 8;
// Registers lie in pages of so many.
inline constexpr uint32_t kSlotsPerPage = 512;
// So many of a thread's newest objects lie on its stack.
inline constexpr uint32_t kWindow = 16;

constexpr uint32_t pack(Op op, uint32_t number) { return static_cast<uint32_t>(op) << 28 | number; }
constexpr Op op_of(uint32_t word) { return static_cast<Op>(word >> 28); }
constexpr uint32_t number_of(uint32_t word) { return word & ((uint32_t{1} << 28) - 1); }
constexpr uint32_t words_of(Op op) {
  constexpr uint32_t kWords[] = {3, 3, 4, 2, 4, 2, 3, 2, 3, 1, 2};
  return kWords[static_cast<uint32_t>(op)];
}

// The clock is read once for so many operations, or a few more: often enough to see any stall for
// what it is, seldom enough to cost little.
inline constexpr uint32_t kClocked = 32;

// What objects have in common that are allocated, or end, alike.
inline constexpr uint32_t kMostShapeStores = 13;
struct Shape {
  uint32_t bytes = 0;
  uint32_t tag_word = kNone;                      // or kNone
  uint32_t data_from = 0;                         // first word of data
  std::array<uint32_t, kMostShapeStores> slot{};  // words that the first stores go to

  auto operator<=>(const Shape&) const = default;
};
static_assert(sizeof(Shape) == 64);

class ShapeTable {
 public:
  uint32_t find(const Shape& shape);
  const std::vector<Shape>& shapes() const { return shapes_; }

 private:
  std::vector<Shape> shapes_;
  std::map<Shape, uint32_t> numbers_;
};

struct ProgramInfo {
  uint64_t operations = 0;   // waits and signals are not counted
  uint64_t allocations = 0;  // reallocations included
  uint64_t allocated_bytes = 0;
  uint64_t peak_bytes = 0;
  uint64_t links = 0;   // invented references
  uint64_t stores = 0;  // recorded references, roots included
  uint64_t words = 0;   // of code, all lanes
  uint64_t waits = 0;
  uint64_t held = 0;  // times that a register stood in for a stack
  uint32_t names = 0;
  uint32_t registers = 0;
  uint32_t lanes = 1;
  uint32_t shapes = 0;
  uint32_t is_graph = 0;

  constexpr uint32_t pages() const { return (registers + kSlotsPerPage - 1) / kSlotsPerPage; }
};

// A program to replay, wherever it lies.
struct Program {
  ProgramInfo info;
  std::span<const Shape> shapes;
  std::vector<std::span<const uint32_t>> code;  // by lane
};

struct CompiledProgram {
  ProgramInfo info;
  std::vector<Shape> shapes;
  std::vector<std::vector<uint32_t>> code;  // by lane

  Program view() const { return {info, shapes, {code.begin(), code.end()}}; }
};

enum class Threads {
  kOne,       // everything in the recorded order, in one lane
  kRecorded,  // every recorded thread; those whose lives do not overlap share a lane
  kAuto       // kOne for a trace with reference stores, else kRecorded
};

// Reads the trace to its end. What is alive then ends there, the youngest first, as if the program
// freed it. Throws TraceError when the trace is damaged or is none that can be replayed.
CompiledProgram compile(trace::Reader& reader, Threads threads = Threads::kAuto);

}  // namespace bench::replay
