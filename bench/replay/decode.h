#pragma once

// decode_only: the replayer's own part of the time, measured by the same walk (walk.h) without a
// heap. A call of the heap becomes what the replayer itself adds to it: the number of a new object
// from which its contents are made, the slot of a register, the step of the checksum for an object
// that ends. Everything else that a walk hands over is computed and left.
//
// Threads: the main thread alone.

#include <cstdint>
#include <span>
#include <vector>

#include "bench/replay/checksum.h"
#include "bench/replay/clock.h"
#include "bench/replay/measure.h"
#include "bench/replay/program.h"
#include "bench/replay/walk.h"

namespace bench::replay {

// Has every value ready in a register, as a call would want it, and no compiler know what for.
template <typename Value>
inline void take(const Value& value) {
  asm volatile("" : : "r"(value));
}
template <typename... Values>
inline void take_all(const Values&... values) {
  (take(values), ...);
}

class NoHeap {
 public:
  struct Word {
    uint64_t bits;
  };

  NoHeap(uintptr_t* registers, Stalls& stalls) : registers_(registers), stalls_(&stalls) {}

  void allocate(uint32_t name, uint32_t link, uint32_t bytes, bool) {
    take(bytes);
    if (link != kNone) take(registers_[link]);
    registers_[name] = tag_of(next_object_++);
  }
  void reallocate(uint32_t name, uint32_t link, uint32_t bytes, uint32_t old_bytes) {
    checksum_.note(registers_[name] + old_bytes);
    allocate(name, link, bytes, false);
  }
  void free(uint32_t name, uint32_t bytes) {
    checksum_.note(registers_[name] + bytes);
    registers_[name] = 0;
  }
  Word* make(const Shape& shape, bool) {
    take_all(shape.bytes, shape.data_from, shape.tag_word);
    return reinterpret_cast<Word*>(tag_of(next_object_++));
  }
  void used(uint32_t, const Word*) {}
  void store(Word* object, uint32_t word, Word* target) { take_all(object, word, target); }
  void end(Word* object, const Shape& shape) {
    take(shape.bytes);
    if (shape.tag_word != kNone) {
      checksum_.note(reinterpret_cast<uintptr_t>(object) + shape.tag_word);
    }
  }
  void signal() {}
  void wait(uint32_t lane, uint32_t signals) { take_all(lane, signals); }
  void clock() { stalls_->operations_ended(ticks()); }

  uint64_t checksum() const { return checksum_.value(); }

 private:
  uintptr_t* registers_;
  Stalls* stalls_;
  uint64_t next_object_ = 0;
  Checksum checksum_;
};

class Decoding {
 public:
  // The program has to outlive this.
  Decoding(const Program& program, uint64_t copies)
      : program_(program),
        copies_(copies),
        hidden_(hidden_names(program.info) * copies, ~uintptr_t{0}),
        registers_(program.info.registers * copies) {}

  // Once through every copy: lane by lane, the copies in turns.
  uint64_t run(Stalls& stalls) {
    uint64_t checksum = 0;
    for (const std::span<const uint32_t> lane : program_.code) {
      std::vector<Place> places;
      std::vector<NoHeap> heaps;
      std::vector<Window<NoHeap::Word>> windows(copies_);
      for (uint64_t copy = 0; copy < copies_; ++copy) {
        places.push_back({lane.data(), program_.shapes.data(),
                          hidden_.data() + copy * hidden_names(program_.info)});
        heaps.emplace_back(registers_.data() + copy * program_.info.registers, stalls);
      }
      while (!places.back().is_done()) {
        for (uint64_t copy = 0; copy < copies_; ++copy) {
          walk<false>(places[copy], heaps[copy], windows[copy], kTurn / kClocked);
        }
      }
      for (const NoHeap& heap : heaps) checksum += heap.checksum();
    }
    return checksum;
  }

 private:
  const Program& program_;
  uint64_t copies_;
  std::vector<uintptr_t> hidden_;
  std::vector<uintptr_t> registers_;
};

}  // namespace bench::replay
