#include "runtime/heap/run_index.h"

#include <initializer_list>

#include "runtime/base/bits.h"
#include "runtime/base/check.h"

namespace tricolor::runtime {

bool RunIndex::reserve(uint32_t pages) noexcept { return tags_.reserve(pages); }

unsigned RunIndex::bin_of(uint32_t length) noexcept {
  if (length <= kExactBins) return length - 1;
  const unsigned doubling = log2_floor(length);
  const unsigned eighth = (length >> (doubling - 3)) & 7;
  return kExactBins + (doubling - 6) * 8 + eighth;
}

unsigned RunIndex::next_occupied(const Bins& bins, unsigned from) noexcept {
  if (from >= kBins) return kBins;
  unsigned word = from / 64;
  uint64_t occupied = bins.occupied[word] & (~uint64_t{0} << (from % 64));
  while (occupied == 0) {
    if (++word == kBinWords) return kBins;
    occupied = bins.occupied[word];
  }
  return word * 64 + lowest_bit(occupied);
}

// A bijection of 32 bits (the finalizer of MurmurHash3), so no two nodes are equal.
uint32_t RunIndex::priority(Link node) noexcept {
  node = (node ^ (node >> 16)) * 0x85ebca6bu;
  node = (node ^ (node >> 13)) * 0xc2b2ae35u;
  return node ^ (node >> 16);
}

bool RunIndex::before(Link a, Link b) const noexcept {
  const uint32_t a_length = tag(a).length;
  const uint32_t b_length = tag(b).length;
  return a_length != b_length ? a_length < b_length : a < b;
}

RunIndex::Link RunIndex::leftmost(Link root) const noexcept {
  while (tag(root).left != 0) root = tag(root).left;
  return root;
}

RunIndex::Link RunIndex::lower_bound(Link root, uint32_t length) const noexcept {
  Link best = 0;
  while (root != 0) {
    if (tag(root).length >= length) {
      best = root;
      root = tag(root).left;
    } else {
      root = tag(root).right;
    }
  }
  return best;
}

RunIndex::Link RunIndex::merged(Link left, Link right) noexcept {
  Link root = 0;
  Link* link = &root;
  while (left != 0 && right != 0) {
    if (priority(left) > priority(right)) {
      *link = left;
      link = &tag(left).right;
      left = *link;
    } else {
      *link = right;
      link = &tag(right).left;
      right = *link;
    }
  }
  *link = left != 0 ? left : right;
  return root;
}

void RunIndex::split(Link root, Link pivot, Link* left, Link* right) noexcept {
  while (root != 0) {
    if (before(root, pivot)) {
      *left = root;
      left = &tag(root).right;
      root = *left;
    } else {
      *right = root;
      right = &tag(root).left;
      root = *right;
    }
  }
  *left = 0;
  *right = 0;
}

void RunIndex::insert(uint32_t first, uint32_t length, uint32_t dirty) noexcept {
  TC_DCHECK(length > 0 && dirty <= length, "run of %u pages, %u dirty", length, dirty);
  const Link node = first + 1;
  Tag& own = tag(node);
  tags_[first + length - 1].length = length;
  own.length = length;
  own.dirty = dirty;

  const unsigned bin = bin_of(length);
  Bins& bins = bins_[dirty != 0 ? kResident : kClean];
  bins.occupied[bin / 64] |= uint64_t{1} << (bin % 64);
  ++count_;

  const uint32_t own_priority = priority(node);
  Link* link = &bins.root[bin];
  while (*link != 0 && priority(*link) > own_priority) {
    Tag& other = tag(*link);
    link = before(node, *link) ? &other.left : &other.right;
  }
  split(*link, node, &own.left, &own.right);
  *link = node;
}

void RunIndex::remove(uint32_t first) noexcept {
  const Link node = first + 1;
  Tag& own = tag(node);
  const unsigned bin = bin_of(own.length);
  Bins& bins = bins_[own.dirty != 0 ? kResident : kClean];
  Link* link = &bins.root[bin];
  while (*link != node) {
    TC_CHECK(*link != 0, "the free run at page %u, length %u, is not in its bin %u", first,
             own.length, bin);
    Tag& other = tag(*link);
    link = before(node, *link) ? &other.left : &other.right;
  }
  *link = merged(own.left, own.right);
  if (bins.root[bin] == 0) bins.occupied[bin / 64] &= ~(uint64_t{1} << (bin % 64));
  --count_;

  tags_[first + own.length - 1].length = 0;
  own = Tag{};
}

// [runs.order]
uint32_t RunIndex::find(uint32_t length) const noexcept {
  unsigned from = bin_of(length);
  if (length > kExactBins) {
    // This bin holds shorter runs, too.
    for (const Bins& bins : bins_) {
      const Link fit = lower_bound(bins.root[from], length);
      if (fit != 0) return fit - 1;
    }
    ++from;
  }
  const unsigned resident = next_occupied(bins_[kResident], from);
  const unsigned clean = next_occupied(bins_[kClean], from);
  const unsigned bin = resident <= clean ? resident : clean;
  if (bin == kBins) return kNone;
  return leftmost(bins_[resident <= clean ? kResident : kClean].root[bin]) - 1;
}

bool RunIndex::contains(uint32_t first) const noexcept {
  const Link node = first + 1;
  const Tag& own = tag(node);
  if (own.length == 0) return false;
  Link at = bins_[own.dirty != 0 ? kResident : kClean].root[bin_of(own.length)];
  while (at != 0 && at != node) at = before(node, at) ? tag(at).left : tag(at).right;
  return at == node;
}

uint32_t RunIndex::check_subtree(Link root, unsigned state, unsigned bin) const noexcept {
  if (root == 0) return 0;
  const Tag& own = tag(root);
  TC_CHECK(own.length != 0 && bin_of(own.length) == bin, "run at page %u, length %u, is in bin %u",
           root - 1, own.length, bin);
  TC_CHECK((own.dirty != 0 ? kResident : kClean) == state,
           "run at page %u with %u dirty pages is among the %s ones", root - 1, own.dirty,
           state == kClean ? "clean" : "resident");
  for (const Link child : {own.left, own.right}) {
    TC_CHECK(child == 0 || priority(child) < priority(root), "run %u stands above run %u", root - 1,
             child - 1);
  }
  TC_CHECK(own.left == 0 || before(own.left, root), "run %u is left of run %u", own.left - 1,
           root - 1);
  TC_CHECK(own.right == 0 || before(root, own.right), "run %u is right of run %u", own.right - 1,
           root - 1);
  return 1 + check_subtree(own.left, state, bin) + check_subtree(own.right, state, bin);
}

void RunIndex::check_invariants() const noexcept {
  uint32_t found = 0;
  for (unsigned state = 0; state < kStates; ++state) {
    for (unsigned bin = 0; bin < kBins; ++bin) {
      const Link root = bins_[state].root[bin];
      const bool occupied = (bins_[state].occupied[bin / 64] >> (bin % 64) & 1) != 0;
      TC_CHECK(occupied == (root != 0), "bin %u: occupied %d, root %u", bin, occupied, root);
      found += check_subtree(root, state, bin);
    }
  }
  TC_CHECK(found == count_, "%u runs counted, %u found", count_, found);
}

}  // namespace tricolor::runtime
