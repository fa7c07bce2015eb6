#pragma once

// Walk: reads code and says what is to be done, name by name: dispatch, operands, what names lead
// to, the window of new objects, the clock. All that a replay does besides its heap's work is here,
// so that decode_only (decode.h), which does nothing with what it is told, takes the same steps.
//
// A Heap is a class of
//   Word                                           what objects are made of
//   void allocate(uint32_t name, uint32_t link, uint32_t bytes, bool zeroed)
//   void reallocate(uint32_t name, uint32_t link, uint32_t bytes, uint32_t old_bytes)
//   void free(uint32_t name, uint32_t bytes)
//   Word* make(const Shape&, bool is_leaf)
//   void used(uint32_t name, Word*)                the name led there; null and pages too
//   void store(Word*, uint32_t word, Word* target) into an object or a page of registers
//   void end(Word*, const Shape&)
//   void signal(), wait(uint32_t lane, uint32_t signals), clock()
// It is copied before the walk and back after it, so that its members can live in registers.
//
// [replay.no-table]  no memory but the heap's own and the stack of the thread that replays keeps an
//                    object alive. Names lead to addresses, complemented, in memory that no
//                    collector scans; a register is cleared when the program says so.
//
// Threads: one walk, one thread.

#include <cstdint>

#include "bench/replay/code.h"

namespace bench::replay {

// The newest objects of a thread, on its stack, where a collector finds them.
template <typename Word>
struct Window {
  Word* volatile object[kWindow] = {};
  uint32_t next = 0;
};

// What the names of a program lead to: null, its objects, its pages of registers.
constexpr uint64_t hidden_names(const ProgramInfo& program) {
  return uint64_t{1} + program.names + program.pages();
}

// Where a walk stands, and what it needs.
struct Place {
  const uint32_t* at;
  const Shape* shapes;
  uintptr_t* hidden;  // by name: the complement of the address

  bool is_done() const { return instruction_of(*at) == Instruction::kHalt; }
};

// Walks until the clock was read `clocks` times or the code ends; kSingly: one instruction. Never
// inlined, so that every heap's walk has the registers to itself.
template <bool kSingly, typename Heap>
[[gnu::noinline]] void walk(Place& place, Heap& the_heap, Window<typename Heap::Word>& window,
                            uint64_t clocks) {
  using Word = typename Heap::Word;
  Heap heap = the_heap;
  const uint32_t* at = place.at;
  uintptr_t* const hidden = place.hidden;
  const Shape* const shapes = place.shapes;
  uint32_t newest = window.next;
  // [program.anchored] The object of that name, which is reachable now.
  const auto named = [&](uint32_t name) {
    auto* object = reinterpret_cast<Word*>(~hidden[name]);
    heap.used(name, object);
    return object;
  };
  const auto make = [&](uint32_t name, const Shape& shape, bool is_leaf) {
    Word* object = heap.make(shape, is_leaf);
    window.object[newest++ % kWindow] = object;
    hidden[name] = ~reinterpret_cast<uintptr_t>(object);
    return object;
  };
  do {
    const uint32_t number = number_of(*at);
    Counts counts(0);
    switch (instruction_of(*at)) {
      case Instruction::kNew: {
        counts = Counts(at[1]);
        const Shape& shape = shapes[at[2]];
        Word* object = make(number, shape, false);
        at += 3;
        for (uint32_t i = 0; i < counts.stores; ++i) {
          heap.used(number, object);
          heap.store(object, shape.slot[i], named(*at++));
        }
        break;
      }
      case Instruction::kNewLeaf:
        counts = Counts(at[1]);
        make(number, shapes[at[2]], true);
        at += 3;
        break;
      case Instruction::kMore:
        counts = Counts(at[1]);
        at += 2;
        break;
      case Instruction::kAlloc:
        heap.allocate(number, at[1], at[2], false);
        at += 3;
        continue;
      case Instruction::kAllocZeroed:
        heap.allocate(number, at[1], at[2], true);
        at += 3;
        continue;
      case Instruction::kRealloc:
        heap.reallocate(number, at[1], at[2], at[3]);
        at += 4;
        continue;
      case Instruction::kFrees: {
        const uint32_t* const end = ++at + 2 * uint64_t{number};
        for (; at != end; at += 2) heap.free(at[0], at[1]);
        continue;
      }
      case Instruction::kSignal:
        heap.signal();
        at += 1;
        continue;
      case Instruction::kWait:
        heap.wait(number, at[1]);
        at += 2;
        continue;
      case Instruction::kClock:
        heap.clock();
        at += 1;
        if (--clocks == 0) goto done;
        continue;
      case Instruction::kHalt:
        goto done;
    }
    for (uint32_t i = 0; i < counts.writes; ++i, at += 3) {
      heap.store(named(at[0]), at[1], named(at[2]));
    }
    for (uint32_t i = 0; i < counts.ends; ++i, at += 2) heap.end(named(at[0]), shapes[at[1]]);
  } while (!kSingly);
done:
  place.at = at;
  window.next = newest;
  the_heap = heap;
}

}  // namespace bench::replay
