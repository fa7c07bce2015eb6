#pragma once

// RunIndex: the free runs of the page heap, found by length or by the page beside them.
//
// A run is known by its first page. Its length stands at its first and at its last page (boundary
// tags), so that a freed neighbour finds it; all other tags are zero.
//
// Runs of up to 64 pages have a bin per length, longer ones share eight bins per doubling. A bin is
// two treaps ordered by (length, first page): runs with resident pages, and clean ones. The nodes
// live in the tags, the priorities are hashes of the page number: no memory, no randomness.
//
// [runs.tags]   tag.length != 0 exactly at both ends of every free run.
// [runs.order]  find() gives the shortest run that fits (among bins; exactly, within one), lowest
//               page first.
// All operations are O(log runs). Threads: guarded by the owner's lock.

#include <cstdint>

#include "runtime/heap/side_table.h"

namespace tricolor::runtime {

class RunIndex {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  constexpr RunIndex() noexcept = default;

  [[nodiscard]] bool reserve(uint32_t pages) noexcept;
  [[nodiscard]] bool commit_to(uint32_t pages) noexcept { return tags_.commit_to(pages); }
  void unmap() noexcept { tags_.unmap(); }

  // A free run of `length` pages, `dirty` of them resident.
  void insert(uint32_t first, uint32_t length, uint32_t dirty) noexcept;
  void remove(uint32_t first) noexcept;

  // First page of the best run of at least `length` pages, or kNone.
  uint32_t find(uint32_t length) const noexcept;

  uint32_t length(uint32_t first) const noexcept { return tags_[first].length; }
  uint32_t dirty(uint32_t first) const noexcept { return tags_[first].dirty; }

  // The run whose last page is `page`, or kNone if there is none. `page` must be committed.
  uint32_t run_ending_at(uint32_t page) const noexcept {
    const uint32_t length = tags_[page].length;
    return length == 0 ? kNone : page - length + 1;
  }
  bool run_starts_at(uint32_t page) const noexcept { return tags_[page].length != 0; }

  uint32_t count() const noexcept { return count_; }
  bool contains(uint32_t first) const noexcept;
  // Order, priorities, bin membership and the count.
  void check_invariants() const noexcept;

 private:
  static constexpr unsigned kExactBins = 64;
  static constexpr unsigned kBins = kExactBins + 8 * 26;
  static constexpr unsigned kBinWords = (kBins + 63) / 64;
  enum State : unsigned { kResident = 0, kClean = 1, kStates = 2 };

  // A run in a treap: its first page plus one, so that zero means none.
  using Link = uint32_t;

  struct Tag {
    uint32_t length;  // of the run that starts or ends here; 0: none
    uint32_t dirty;   // this and the links: only at a first page
    Link left;
    Link right;
  };

  struct Bins {
    uint64_t occupied[kBinWords] = {};
    Link root[kBins] = {};
  };

  static unsigned bin_of(uint32_t length) noexcept;
  static unsigned next_occupied(const Bins& bins, unsigned from) noexcept;
  static uint32_t priority(Link node) noexcept;

  Tag& tag(Link node) const noexcept { return tags_[node - 1]; }
  bool before(Link a, Link b) const noexcept;
  Link leftmost(Link root) const noexcept;
  Link lower_bound(Link root, uint32_t length) const noexcept;
  Link merged(Link left, Link right) noexcept;
  void split(Link root, Link pivot, Link* left, Link* right) noexcept;
  uint32_t check_subtree(Link root, unsigned state, unsigned bin) const noexcept;

  SideTable<Tag> tags_;
  Bins bins_[kStates];
  uint32_t count_ = 0;
};

}  // namespace tricolor::runtime
