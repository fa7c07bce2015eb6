#pragma once

// Code: what the operations of a lane (program.h) become, so that a replay spends as little as it
// can on reading them. Flat 32-bit words, read from the first to the last.
//
// The time of reading code is dispatch, the chain from one instruction's length to the next, and
// memory. So one instruction stands for several operations where they follow each other: an
// allocation with the first stores into the new object, and runs of the same operation with a
// count. What many objects have in common is a shape, found in a table. A name in the code is one
// more than the operation's, 0 is null, so that no reference has to be asked whether it is one. The
// clock is an instruction, and so is the end; nothing is counted while code is read.
//
// Immutable once encoded; any thread may read it.

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <vector>

#include "bench/replay/program.h"

namespace bench::replay {

// The first word is pack(instruction, number); `count` is the number where there is no other.
enum class Instruction : uint32_t {
  kAlloc,        // register; link's register; bytes
  kAllocZeroed,  // the same
  kRealloc,      // register; link's register; bytes; bytes before
  kNew,          // name; shape; the target of each of the shape's stores
  kNewLeaf,      // the same
  kFrees,        // count; register, bytes of each
  kStore,        // name; word; target
  kRoots,        // count; register, target of each
  kEnds,         // count; name, shape of each
  kSignal,       // 0
  kWait,         // lane; how many signals it has to have given
  kClock,        // 0. At least kClocked operations stand between this and the one before
  kHalt,         // 0
};

constexpr uint32_t pack(Instruction instruction, uint32_t number) {
  return static_cast<uint32_t>(instruction) << 28 | number;
}
constexpr Instruction instruction_of(uint32_t word) { return static_cast<Instruction>(word >> 28); }

// Whether everything that ended before this instruction has been cut off: elsewhere what ends with
// the next operation may have been read back already.
constexpr bool is_between_steps(uint32_t word) {
  return instruction_of(word) <= Instruction::kNewLeaf || instruction_of(word) == Instruction::kHalt;
}

// The operations of one lane in their order, made code.
class Encoder {
 public:
  // `shapes` is shared by the lanes of a program.
  explicit Encoder(ShapeTable& shapes) : shapes_(shapes) {}

  // As many words as words_of(op_of(*operation)).
  void add(const uint32_t* operation);
  std::vector<uint32_t> finish();

 private:
  // The last instruction, which the next operation may still become part of.
  struct Open {
    Instruction instruction = Instruction::kHalt;
    size_t at = 0;      // in code_
    uint32_t name = 0;  // kNew
    Shape shape;        // kNew
  };

  void begin(Instruction instruction, uint32_t number);
  void extend(Instruction instruction, uint32_t first, uint32_t second);
  void close();

  ShapeTable& shapes_;
  std::vector<uint32_t> code_;
  Open open_;
  uint32_t since_clock_ = 0;  // operations
};

// The operations again, for tests: what was given to add().
std::vector<uint32_t> operations_of(const CompiledProgram& program, size_t lane);

}  // namespace bench::replay
