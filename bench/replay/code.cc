#include "bench/replay/code.h"

#include <algorithm>
#include <utility>

namespace bench::replay {
namespace {

constexpr uint32_t nullable(uint32_t name) { return name == kNone ? 0 : name + 1; }
constexpr uint32_t operation_name(uint32_t name) { return name == 0 ? kNone : name - 1; }

}  // namespace

uint32_t ShapeTable::find(const Shape& shape) {
  const auto [place, is_new] = numbers_.emplace(shape, static_cast<uint32_t>(shapes_.size()));
  if (is_new) shapes_.push_back(shape);
  return place->second;
}

void Encoder::begin(Instruction instruction, uint32_t number) {
  close();
  if (since_clock_ >= kClocked) {
    code_.push_back(pack(Instruction::kClock, 0));
    since_clock_ = 0;
  }
  open_.instruction = instruction;
  open_.at = code_.size();
  code_.push_back(pack(instruction, number));
}

void Encoder::begin_step(Instruction instruction, uint32_t name, const Shape& shape) {
  begin(instruction, name + 1);
  code_.insert(code_.end(), {0, 0});
  open_.name = name;
  open_.shape = shape;
}

void Encoder::write(uint32_t name, uint32_t word, uint32_t target) {
  if (!is_step() || counts().ends != 0 || !has_place()) {
    begin(Instruction::kMore, 0);
    code_.push_back(0);
  }
  code_[open_.at + 1] += kOneWrite;
  code_.insert(code_.end(), {name, word, target});
}

void Encoder::close() {
  if (open_.instruction == Instruction::kNew || open_.instruction == Instruction::kNewLeaf) {
    code_[open_.at + 2] = shapes_.find(open_.shape);
  }
  open_.instruction = Instruction::kHalt;
}

// Steps and runs end where the clock is due, so that a long one is not taken for a stall.
void Encoder::add(const uint32_t* operation) {
  const Op op = op_of(*operation);
  const uint32_t number = number_of(*operation);
  const uint32_t* const operands = operation + 1;
  switch (op) {
    case Op::kAlloc:
    case Op::kAllocZeroed:
    case Op::kRealloc:
      begin(op == Op::kAlloc     ? Instruction::kAlloc
            : op == Op::kRealloc ? Instruction::kRealloc
                                 : Instruction::kAllocZeroed,
            number);
      code_.insert(code_.end(), operands, operation + words_of(op));
      break;
    case Op::kFree:
      if (open_.instruction != Instruction::kFrees || !has_place()) begin(Instruction::kFrees, 0);
      ++code_[open_.at];
      code_.insert(code_.end(), {number, operands[0]});
      break;
    case Op::kNew:
      begin_step(Instruction::kNew, number, {operands[0], operands[1], operands[2], {}});
      break;
    case Op::kNewLeaf:
      begin_step(Instruction::kNewLeaf, number, {operands[0], operands[0] >= 8 ? 0 : kNone, 0, {}});
      break;
    case Op::kStore:
      if (open_.instruction == Instruction::kNew && open_.name == number &&
          code_[open_.at + 1] < kMostShapeStores * kOneStore) {
        open_.shape.slot[counts().stores] = operands[0];
        code_[open_.at + 1] += kOneStore;
        code_.push_back(nullable(operands[1]));
      } else {
        write(number + 1, operands[0], nullable(operands[1]));
      }
      break;
    case Op::kRoot:
      write(names_ + 1 + number / kSlotsPerPage, number % kSlotsPerPage, nullable(operands[0]));
      break;
    case Op::kEnd: {
      if (!is_step() || !has_place()) {
        begin(Instruction::kMore, 0);
        code_.push_back(0);
      }
      code_[open_.at + 1] += kOneEnd;
      const uint32_t shape = shapes_.find({operands[1], operands[0], 0, {}});
      code_.insert(code_.end(), {number + 1, shape});
      break;
    }
    case Op::kSignal:
    case Op::kWait:
      close();
      code_.push_back(pack(op == Op::kWait ? Instruction::kWait : Instruction::kSignal, number));
      if (op == Op::kWait) code_.push_back(operands[0]);
      return;
  }
  ++since_clock_;
}

std::vector<uint32_t> Encoder::finish() {
  close();
  if (since_clock_ > 0) code_.push_back(pack(Instruction::kClock, 0));
  code_.push_back(pack(Instruction::kHalt, 0));
  return std::move(code_);
}

std::vector<uint32_t> operations_of(const CompiledProgram& program, size_t lane) {
  std::vector<uint32_t> operations;
  const auto put = [&](std::initializer_list<uint32_t> words) {
    operations.insert(operations.end(), words);
  };
  const uint32_t* at = program.code.at(lane).data();
  const auto put_writes_and_ends = [&](const Counts& counts) {
    for (uint32_t i = 0; i < counts.writes; ++i, at += 3) {
      const uint32_t name = at[0] - 1;
      const uint32_t target = operation_name(at[2]);
      if (name < program.info.names) {
        put({pack(Op::kStore, name), at[1], target});
      } else {
        put({pack(Op::kRoot, (name - program.info.names) * kSlotsPerPage + at[1]), target});
      }
    }
    for (uint32_t i = 0; i < counts.ends; ++i, at += 2) {
      const Shape& shape = program.shapes.at(at[1]);
      put({pack(Op::kEnd, at[0] - 1), shape.tag_word, shape.bytes});
    }
  };
  for (;;) {
    const uint32_t number = number_of(*at);
    switch (instruction_of(*at++)) {
      case Instruction::kAlloc:
        put({pack(Op::kAlloc, number), at[0], at[1]});
        at += 2;
        break;
      case Instruction::kAllocZeroed:
        put({pack(Op::kAllocZeroed, number), at[0], at[1]});
        at += 2;
        break;
      case Instruction::kRealloc:
        put({pack(Op::kRealloc, number), at[0], at[1], at[2]});
        at += 3;
        break;
      case Instruction::kNew: {
        const Counts counts(*at++);
        const Shape& shape = program.shapes.at(*at++);
        put({pack(Op::kNew, number - 1), shape.bytes, shape.tag_word, shape.data_from});
        for (uint32_t i = 0; i < counts.stores; ++i) {
          put({pack(Op::kStore, number - 1), shape.slot[i], operation_name(*at++)});
        }
        put_writes_and_ends(counts);
        break;
      }
      case Instruction::kNewLeaf: {
        const Counts counts(*at++);
        put({pack(Op::kNewLeaf, number - 1), program.shapes.at(*at++).bytes});
        put_writes_and_ends(counts);
        break;
      }
      case Instruction::kMore:
        put_writes_and_ends(Counts(*at++));
        break;
      case Instruction::kFrees:
        for (uint32_t i = 0; i < number; ++i, at += 2) put({pack(Op::kFree, at[0]), at[1]});
        break;
      case Instruction::kSignal:
        put({pack(Op::kSignal, 0)});
        break;
      case Instruction::kWait:
        put({pack(Op::kWait, number), *at++});
        break;
      case Instruction::kClock:
        break;
      case Instruction::kHalt:
        return operations;
    }
  }
}

}  // namespace bench::replay
