#pragma once

// Fields: what every word of every object refers to, for those that have been stored into.
//
// An open-addressing table keyed by object and slot; entries are overwritten, never removed, so it
// holds at most one per distinct word that the trace stores into. 16 bytes an entry.
//
// Threads: belongs to one reader of a trace.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace bench::trace {

inline constexpr uint32_t kNobody = ~uint32_t{0};

class Fields {
 public:
  // Makes `slot` of `object` refer to `target` (kNobody: null); returns what it referred to.
  // `is_new`: the slot was never set before.
  uint32_t set(uint32_t object, uint32_t slot, uint32_t target, bool& is_new) {
    if (4 * (used_ + 1) > 3 * cells_.size()) grow();
    Cell& cell = cells_[find(object, slot)];
    is_new = cell.object == kNobody;
    if (is_new) {
      ++used_;
      cell = {object, slot, kNobody};
    }
    return std::exchange(cell.target, target);
  }

  uint32_t get(uint32_t object, uint32_t slot) const {
    if (cells_.empty()) return kNobody;
    const Cell& cell = cells_[find(object, slot)];
    return cell.object == kNobody ? kNobody : cell.target;
  }

 private:
  struct Cell {
    uint32_t object = kNobody;
    uint32_t slot = 0;
    uint32_t target = kNobody;
  };

  size_t find(uint32_t object, uint32_t slot) const {
    const uint64_t key = uint64_t{object} << 32 | slot;
    size_t at = (key * 0x9e3779b97f4a7c15u) >> (64 - std::countr_zero(cells_.size()));
    while (cells_[at].object != kNobody &&
           (cells_[at].object != object || cells_[at].slot != slot)) {
      at = (at + 1) & (cells_.size() - 1);
    }
    return at;
  }

  void grow() {
    std::vector<Cell> before(cells_.empty() ? 1024 : 2 * cells_.size());
    before.swap(cells_);
    for (const Cell& cell : before) {
      if (cell.object != kNobody) cells_[find(cell.object, cell.slot)] = cell;
    }
  }

  std::vector<Cell> cells_;
  size_t used_ = 0;
};

}  // namespace bench::trace
