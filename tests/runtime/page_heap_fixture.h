#pragma once

// A page heap over a range of its own, for the tests of the page heap.

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "runtime/heap/page_heap.h"
#include "runtime/os/os.h"

namespace tricolor::tests {

using namespace tricolor::runtime;

inline constexpr size_t kMiB = size_t{1} << 20;
inline constexpr uint32_t kPiecePages = 256;

// Without huge pages, so that residency is exact.
struct OwnHeap {
  explicit OwnHeap(size_t reserved) : bytes(reserved) {
    base = static_cast<char*>(os::reserve_aligned(bytes, os::kHugePageSize));
    REQUIRE(base != nullptr);
    os::advise_no_huge(base, bytes);
    REQUIRE(pages.init(base, bytes, PageHeap::kNoHugePages));
  }
  ~OwnHeap() {
    pages.shutdown();
    os::unmap(base, bytes);
  }
  OwnHeap(const OwnHeap&) = delete;
  OwnHeap& operator=(const OwnHeap&) = delete;

  PageRun take(uint32_t count) {
    const PageRun run = pages.allocate(count);
    REQUIRE(run.count == count);
    return run;
  }
  // Writes to every page; the run is then no longer zero.
  void touch(PageRun& run, unsigned char value = 1) {
    for (uint32_t i = 0; i < run.count; ++i) std::memset(at(run, i), value, 64);
    run.zeroed = false;
  }
  PageRun take_touched(uint32_t count) {
    PageRun run = take(count);
    touch(run);
    return run;
  }
  char* at(const PageRun& run, uint32_t page) { return pages.address(run.first + page); }

  size_t resident_bytes() {
    std::vector<unsigned char> map(bytes / os::page_size());
    REQUIRE(::mincore(base, bytes, map.data()) == 0);
    size_t resident = 0;
    for (const unsigned char page : map) resident += page & 1;
    return resident * os::page_size();
  }

  size_t bytes;
  char* base = nullptr;
  PageHeap pages;
};

}  // namespace tricolor::tests
