#pragma once

// BlockMap: which block an address lies in, inside of it too, and what was last recorded of every
// word of memory.
//
// A table over the whole address space, in pages that the system provides when they are touched: a
// block number for every 16 bytes, and for every word the object that it was recorded to refer to.
// Nothing here allocates by malloc.
//
// Threads: one at a time; the recorder's turn guards it.

#include <cstddef>
#include <cstdint>

namespace tools::recorder {

class BlockMap {
 public:
  struct Block {
    uintptr_t start;  // 0: none
    uint64_t bytes;
    uint64_t ticket;
    bool may_refer;
    bool is_reached;  // the snapshot's
  };

  // False when the system has no memory. What was recorded of the words is forgotten.
  bool add(uintptr_t start, uint64_t bytes, uint64_t ticket, bool may_refer);
  void remove(uintptr_t start);
  void clear();

  // The block that the address lies in, or nullptr.
  Block* find(uintptr_t address);
  // The ticket + 1 of the object that the word at `address` was recorded to refer to, 0 for none;
  // nullptr where nothing was recorded nearby, unless `make`.
  uint64_t* target(uintptr_t address, bool make);

  // Block numbers from 1 to last() are in use or were; at() of a free one has start 0.
  uint32_t last() const { return last_; }
  Block& at(uint32_t number) { return blocks_[number]; }

 private:
  static constexpr unsigned kRegionBits = 21;
  static constexpr uintptr_t kRegion = uintptr_t{1} << kRegionBits;
  static constexpr size_t kRegions = size_t{1} << (47 - kRegionBits);
  static constexpr size_t kMaxBlocks = size_t{1} << 26;

  struct Region {
    uint32_t block[kRegion / 16];
    uint64_t target[kRegion / 8];
  };

  bool start_up();
  Region* region(uintptr_t address, bool make);
  void fill(uintptr_t start, uint64_t bytes, uint32_t number);

  Region** regions_ = nullptr;
  Block* blocks_ = nullptr;
  uint32_t last_ = 0;
  uint32_t free_ = 0;  // a list through Block::bytes
};

}  // namespace tools::recorder
