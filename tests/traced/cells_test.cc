// The allocator of traced memory: sizes, alignment, whose cell is whose, and what comes back.
#include "traced/cells.h"
#include "tests/support.hpp"
#include "traced/chunks.h"
#include "traced/live_parts.h"
#include "traced/size_classes.h"

#include <algorithm>
#include <cstring>

#include <tricolor/traced.hpp>

namespace tricolor::tests {
namespace {

using traced::allocate;
using traced::allocate_aligned;
using traced::kCellClasses;
using traced::kClasses;

bool holds(const void* cell, std::size_t bytes, unsigned char value) {
  const auto* const at = static_cast<const unsigned char*>(cell);
  return std::all_of(at, at + bytes, [value](unsigned char c) { return c == value; });
}

std::size_t live_bytes_of(const char* cell) {
  std::size_t found = 0;
  const char* const block = cell - traced::Chunk::offset_of(cell) % traced::kBlockBytes;
  traced::for_each_live_part(block, block + traced::kBlockBytes,
                             [&](const char* from, std::size_t bytes) {
                               if (cell >= from && cell < from + bytes) found = bytes;
                             });
  return found;
}

}  // namespace

TEST_CASE("traced cells: every size has the smallest class that holds it") {
  for (std::size_t bytes = 0; bytes <= traced::kLargestCell; ++bytes) {
    const unsigned cls = traced::class_of(bytes);
    REQUIRE(cls < kClasses);
    REQUIRE(kCellClasses[cls].size >= bytes);
    if (cls > 0) REQUIRE(kCellClasses[cls - 1].size < std::max<std::size_t>(bytes, 1));
    REQUIRE(kCellClasses[cls].size % traced::kGranule == 0);
    REQUIRE(kCellClasses[cls].cells * kCellClasses[cls].size <=
            kCellClasses[cls].blocks * traced::kBlockBytes);
  }
}

TEST_CASE("traced cells: sizes and alignments, each cell its own") {
  struct Taken {
    char* cell;
    std::size_t bytes;
    unsigned char value;
  };
  Random random(announce_seed("traced cells"));
  std::vector<Taken> taken;
  for (int i = 0; i < 4000; ++i) {
    const std::size_t limit =
        random.one_in(50) ? std::size_t{3} << 20 : std::size_t{1} << random.below(17);
    const std::size_t bytes = random.below(limit) + 1;
    const std::size_t alignment = random.one_in(4) ? std::size_t{1} << random.below(17) : 16;
    auto* const cell = static_cast<char*>(allocate_aligned(bytes, alignment));
    REQUIRE(cell != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(cell) % std::max<std::size_t>(alignment, 16) == 0);
    const auto value = static_cast<unsigned char>(i);
    std::memset(cell, value, bytes);
    taken.push_back({cell, bytes, value});
    if (taken.size() > 300 || random.one_in(3)) {
      const std::size_t at = random.below(taken.size());
      CHECK(holds(taken[at].cell, taken[at].bytes, taken[at].value));
      traced::free(taken[at].cell);
      taken[at] = taken.back();
      taken.pop_back();
    }
  }
  for (const Taken& t : taken) {
    CHECK(holds(t.cell, t.bytes, t.value));
    traced::free(t.cell);
  }
}

// [traced.live] [traced.stable]
TEST_CASE("traced cells: what is free is not read") {
  for (const std::size_t bytes : {16, 48, 200, 1000, 20000, 200'000}) {
    auto* const cell = static_cast<char*>(allocate(bytes));
    CHECK(live_bytes_of(cell) > 0);
    traced::free(cell);
    CHECK(live_bytes_of(cell) == 0);
  }
}

TEST_CASE("traced cells: a request that cannot be met is refused") {
  CHECK(allocate(std::size_t{1} << 62) == nullptr);
  CHECK(allocate(~std::size_t{0}) == nullptr);
  CHECK(allocate_aligned(64, std::size_t{1} << 62) == nullptr);
  CHECK_THROWS_AS(static_cast<void>(gc::traced_allocator<long>().allocate(std::size_t{1} << 62)),
                  std::bad_array_new_length);
}

TEST_CASE("traced cells: freed by another thread than allocated") {
  constexpr std::size_t kCells = 20000;
  const std::size_t before = traced::g_chunks.bytes_in_use();
  for (int round = 0; round < 20; ++round) {
    std::vector<char*> cells(kCells);
    std::thread([&] {
      for (std::size_t i = 0; i < kCells; ++i) {
        cells[i] = static_cast<char*>(allocate(16 + i % 500));
        cells[i][0] = static_cast<char>(i);
      }
    }).join();
    std::size_t wrong = 0;
    on_threads(2, [&](std::size_t half) {
      std::size_t seen = 0;
      for (std::size_t i = half; i < kCells; i += 2) {
        seen += cells[i][0] == static_cast<char>(i) ? 0 : 1;
        traced::free(cells[i]);
      }
      __atomic_fetch_add(&wrong, seen, __ATOMIC_RELAXED);
    });
    CHECK(wrong == 0);
  }
  // What threads that ended had in their lists has gone back; one empty span a class may stay.
  CHECK(traced::g_chunks.bytes_in_use() <= before + kClasses * 16 * traced::kBlockBytes);
}

// [central_cells.lock] Stops find threads wherever they are in the allocator.
TEST_CASE("traced cells: taken and given while cycles stop the threads") {
  CollectingThread collecting;
  on_threads(4, [](std::size_t thread) {
    Random random(thread);
    gc::traced::vector<gc::traced::vector<Node*>> lists(50);
    for (std::size_t i = 0; i < scaled(30'000); ++i) {
      auto& list = lists[random.below(lists.size())];
      if (!list.empty()) REQUIRE(list.back()->intact());
      list = gc::traced::vector<Node*>(random.below(random.one_in(100) ? 5000 : 40) + 1);
      list.back() = gc::make<Node>(i);
    }
  });
  collecting.stop();
  CHECK(collecting.cycles() > 0);
}

// [chunks.addresses] [chunks.standing]
TEST_CASE("traced cells: a mapping of its own goes while cycles run") {
  CollectingThread collecting(kLongChain / 100);
  for (std::size_t i = 0; i < scaled(400); ++i) {
    const std::size_t bytes = (std::size_t{2} << 20) + i * 4096;
    auto* const cell = static_cast<char*>(allocate(bytes));
    REQUIRE(cell != nullptr);
    cell[0] = 1;
    cell[bytes - 1] = 1;
    traced::free(cell);
  }
  collecting.stop();
  CHECK(collecting.cycles() > 0);
}

}  // namespace tricolor::tests
