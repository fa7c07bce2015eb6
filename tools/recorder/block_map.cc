#include "tools/recorder/block_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace tools::recorder {
namespace {

void* map_pages(size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

}  // namespace

bool BlockMap::start_up() {
  if (blocks_ != nullptr) return true;
  if (regions_ == nullptr) regions_ = static_cast<Region**>(map_pages(kRegions * sizeof(Region*)));
  if (regions_ == nullptr) return false;
  blocks_ = static_cast<Block*>(map_pages(kMaxBlocks * sizeof(Block)));
  return blocks_ != nullptr;
}

BlockMap::Region* BlockMap::region(uintptr_t address, bool make) {
  const size_t number = address >> kRegionBits;
  if (regions_ == nullptr || number >= kRegions) return nullptr;
  if (regions_[number] == nullptr && make) {
    regions_[number] = static_cast<Region*>(map_pages(sizeof(Region)));
  }
  return regions_[number];
}

void BlockMap::fill(uintptr_t start, uint64_t bytes, uint32_t number) {
  const uintptr_t end = start + std::max<uint64_t>(bytes, 1);
  for (uintptr_t at = start & ~uintptr_t{15}; at < end;) {
    const uintptr_t stop = std::min((at | (kRegion - 1)) + 1, end);
    Region* const here = region(at, number != 0);
    if (here != nullptr) {
      const size_t first = (at & (kRegion - 1)) / 16;
      const size_t count = (stop - at + 15) / 16;
      std::fill_n(here->block + first, count, number);
      if (number != 0) {
        memset(here->target + (at & (kRegion - 1)) / 8, 0,
               std::min(2 * count * 8, sizeof here->target - first * 16));
      }
    }
    at = stop;
  }
}

bool BlockMap::add(uintptr_t start, uint64_t bytes, uint64_t ticket, bool may_refer) {
  if (!start_up()) return false;
  uint32_t number = free_;
  if (number != 0) {
    free_ = static_cast<uint32_t>(blocks_[number].bytes);
  } else if (last_ + 1 < kMaxBlocks) {
    number = ++last_;
  } else {
    return false;
  }
  blocks_[number] = {start, bytes, ticket, may_refer, false};
  fill(start, bytes, number);
  return true;
}

void BlockMap::remove(uintptr_t start) {
  const Region* const here = region(start, false);
  if (here == nullptr) return;
  const uint32_t number = here->block[(start & (kRegion - 1)) / 16];
  if (number == 0 || blocks_[number].start != start) return;
  fill(start, blocks_[number].bytes, 0);
  blocks_[number] = {0, free_, 0, false, false};
  free_ = number;
}

void BlockMap::clear() {
  for (uint32_t number = 1; number <= last_; ++number) {
    if (blocks_[number].start != 0) remove(blocks_[number].start);
  }
}

BlockMap::Block* BlockMap::find(uintptr_t address) {
  const Region* const here = region(address, false);
  if (here == nullptr) return nullptr;
  const uint32_t number = here->block[(address & (kRegion - 1)) / 16];
  if (number == 0) return nullptr;
  Block& block = blocks_[number];
  return address - block.start < std::max<uint64_t>(block.bytes, 1) ? &block : nullptr;
}

uint64_t* BlockMap::target(uintptr_t address, bool make) {
  Region* const here = region(address, make);
  return here == nullptr ? nullptr : here->target + (address & (kRegion - 1)) / 8;
}

}  // namespace tools::recorder
