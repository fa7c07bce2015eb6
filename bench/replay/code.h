#pragma once

// Code: what the operations of a lane (program.h) become, so that a replay spends as little as it
// can on reading them. Flat 32-bit words, read from the first to the last.
//
// The time of reading code is dispatch, the chain from one instruction's length to the next, and
// memory. So one instruction stands for several operations where they follow each other: all that
// happens from one allocation to the next, with counts, and runs of frees. What many objects have
// in common is a shape, found in a table. A name in the code is one more than the operation's, 0 is
// null, so that no reference has to be asked whether it is one; the pages of registers have names
// too, behind the objects', so that a register is written like any word of an object. The clock is
// an instruction, and so is the end: nothing is counted while code is read.
//
// Immutable once encoded; any thread may read it.

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <vector>

#include "bench/replay/program.h"

namespace bench::replay {

// The first word is pack(instruction, number).
enum class Instruction : uint32_t {
  kAlloc,        // register; link's register; bytes
  kAllocZeroed,  // the same
  kRealloc,      // register; link's register; bytes; bytes before
  kNew,          // name; counts; shape; the first stores' targets; writes; ends
  kNewLeaf,      // the same, without stores
  kMore,         // 0; counts; writes; ends
  kFrees,        // how many; register, bytes of each
  kSignal,       // 0
  kWait,         // lane; how many signals it has to have given
  kClock,        // 0. At least kClocked operations stand between this and the one before
  kHalt,         // 0
};

// What follows a step's first words: targets of the stores into its new object, one word each;
// writes of name, word, target; ends of name, shape.
struct Counts {
  uint32_t stores = 0;
  uint32_t writes = 0;
  uint32_t ends = 0;

  constexpr explicit Counts(uint32_t word)
      : stores(word & 255), writes(word >> 8 & 4095), ends(word >> 20) {}
};
inline constexpr uint32_t kOneStore = 1;
inline constexpr uint32_t kOneWrite = 1 << 8;
inline constexpr uint32_t kOneEnd = 1 << 20;

constexpr uint32_t pack(Instruction instruction, uint32_t number) {
  return static_cast<uint32_t>(instruction) << 28 | number;
}
constexpr Instruction instruction_of(uint32_t word) { return static_cast<Instruction>(word >> 28); }

// Whether everything that ended before this instruction has been cut off: elsewhere what ends with
// the next operation may have been read back already.
constexpr bool is_between_steps(uint32_t word) {
  return instruction_of(word) <= Instruction::kNewLeaf ||
         instruction_of(word) == Instruction::kHalt;
}

// The operations of one lane in their order, made code.
class Encoder {
 public:
  // `shapes` is shared by the lanes of a program, which has so many `names`.
  Encoder(ShapeTable& shapes, uint32_t names) : shapes_(shapes), names_(names) {}

  // As many words as words_of(op_of(*operation)).
  void add(const uint32_t* operation);
  std::vector<uint32_t> finish();

 private:
  // The last instruction, which the next operation may still become part of.
  struct Open {
    Instruction instruction = Instruction::kHalt;
    size_t at = 0;      // in code_
    uint32_t name = 0;  // kNew
    Shape shape;        // kNew, kNewLeaf
  };

  bool is_step() const {
    return open_.instruction >= Instruction::kNew && open_.instruction <= Instruction::kMore;
  }
  bool has_place() const { return since_clock_ < kClocked; }
  Counts counts() const { return Counts(code_[open_.at + 1]); }

  void begin(Instruction instruction, uint32_t number);
  void begin_step(Instruction instruction, uint32_t name, const Shape& shape);
  void write(uint32_t name, uint32_t word, uint32_t target);
  void close();

  ShapeTable& shapes_;
  uint32_t names_;
  std::vector<uint32_t> code_;
  Open open_;
  uint32_t since_clock_ = 0;  // operations
};

// The operations again, for tests: what was given to add().
std::vector<uint32_t> operations_of(const CompiledProgram& program, size_t lane);

}  // namespace bench::replay
