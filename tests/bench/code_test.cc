// What the encoder makes of operations can be taken apart into the same operations, and is shorter.

#include <doctest/doctest.h>

#include <random>
#include <span>
#include <vector>

#include "bench/replay/code.h"
#include "bench/replay/decode.h"

namespace {

using namespace bench::replay;

using Operations = std::vector<uint32_t>;

void put(Operations& operations, std::initializer_list<uint32_t> words) {
  operations.insert(operations.end(), words);
}

CompiledProgram encode(const Operations& operations) {
  CompiledProgram program;
  ShapeTable shapes;
  program.info.names = 100;
  program.info.registers = 2000;
  Encoder encoder(shapes, program.info.names);
  for (size_t at = 0; at < operations.size(); at += words_of(op_of(operations[at]))) {
    encoder.add(&operations[at]);
  }
  program.code.push_back(encoder.finish());
  program.shapes = shapes.shapes();
  return program;
}

Operations at_random(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
  const auto nullable = [&] { return below(5) == 0 ? kNone : below(100); };
  Operations operations;
  for (int i = 0; i < 5000; ++i) {
    const uint32_t name = below(100);
    switch (below(10)) {
      case 0:
        put(operations, {pack(Op::kAlloc, name), nullable(), below(300)});
        break;
      case 1:
        put(operations, {pack(Op::kAllocZeroed, name), nullable(), below(300)});
        break;
      case 2:
        put(operations, {pack(Op::kRealloc, name), nullable(), below(300), below(300)});
        break;
      case 3:
        put(operations, {pack(Op::kFree, name), below(300)});
        break;
      case 4:
      case 5:
        put(operations, {pack(Op::kNew, name), 400, nullable(), below(50)});
        for (uint32_t k = below(20); k > 0; --k) {
          put(operations, {pack(Op::kStore, name), below(50), nullable()});
        }
        break;
      case 6:
        put(operations, {pack(Op::kNewLeaf, name), below(300)});
        break;
      case 7:
        put(operations, {pack(Op::kStore, name), below(50), nullable()});
        break;
      case 8:
        for (uint32_t k = below(100); k > 0; --k) {
          put(operations, {pack(Op::kRoot, below(2000)), nullable()});
        }
        break;
      default:
        put(operations, {pack(Op::kEnd, name), nullable(), below(300)});
        if (below(4) == 0) put(operations, {pack(Op::kSignal, 0)});
        if (below(4) == 0) put(operations, {pack(Op::kWait, below(7)), below(1000)});
    }
  }
  return operations;
}

// Counts the operations between two clocks.
class ClockCounter : public NoHeap {
 public:
  using NoHeap::NoHeap;
  void allocate(uint32_t, uint32_t, uint32_t, bool) { ++since_; }
  void reallocate(uint32_t, uint32_t, uint32_t, uint32_t) { ++since_; }
  void free(uint32_t, uint32_t) { ++since_; }
  Word* make(const Shape&, bool) {
    ++since_;
    return nullptr;
  }
  void store(Word*, uint32_t, Word*) { ++since_; }
  void end(Word*, const Shape&) { ++since_; }
  void clock() {
    most = std::max(most, since_);
    least = std::min(least, last_);
    last_ = since_;
    since_ = 0;
  }

  uint64_t most = 0;
  uint64_t least = ~uint64_t{0};  // the last one may be shorter, and is left out

 private:
  uint64_t since_ = 0;
  uint64_t last_ = ~uint64_t{0};
};

}  // namespace

TEST_CASE("code: it stands for the operations that it was made of") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    const Operations operations = at_random(seed);
    CHECK(operations_of(encode(operations), 0) == operations);
  }
}

TEST_CASE("code: an allocation and the first stores into it are one instruction") {
  const CompiledProgram program = encode(
      {pack(Op::kNew, 3), 24, 2, 2, pack(Op::kStore, 3), 0, 7, pack(Op::kStore, 3), 1, kNone});
  CHECK(program.code[0] == std::vector<uint32_t>{pack(Instruction::kNew, 4), 2 * kOneStore, 0, 8, 0,
                                                 pack(Instruction::kClock, 0),
                                                 pack(Instruction::kHalt, 0)});
}

TEST_CASE("code: the clock is read after so many operations, however long the runs") {
  const CompiledProgram program = encode(at_random(9));
  std::vector<uintptr_t> hidden(hidden_names(program.info), ~uintptr_t{0});
  std::vector<uintptr_t> registers(program.info.registers);
  Stalls stalls;
  ClockCounter counter(registers.data(), stalls);
  Place place{program.code[0].data(), program.shapes.data(), hidden.data()};
  Window<NoHeap::Word> window;
  walk<false>(place, counter, window, ~uint64_t{0});
  CHECK(place.is_done());
  CHECK(counter.least >= kClocked);
  CHECK(counter.most < kClocked + 1 + kMostShapeStores);
}
