#include "runtime/heap/spans.h"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <tricolor/tricolor.hpp>

namespace tricolor::runtime {
namespace {

// It would otherwise be what a process allocates first.
TEST_CASE("[spans.base] no object lies in the first page") {
  const auto address = [](const void* object) { return reinterpret_cast<uintptr_t>(object); };
  for (size_t bytes = 1; bytes <= size_t{1} << 20; bytes *= 2) {
    const gc::root<gc::ptr<char>> small = gc::make_array<gc::ptr<char>>(bytes / 8 + 1);
    const gc::root<char> bytes_only = gc::make_array<char>(bytes);
    CHECK(address(small.get()) >= address(g_heap.base()) + kPageSize);
    CHECK(address(bytes_only.get()) >= address(g_heap.base()) + kPageSize);
  }
  CHECK_FALSE(g_heap.find(g_heap.base()));
  CHECK_FALSE(g_heap.find_allocated(g_heap.base()));
  CHECK_FALSE(gc::is_managed(g_heap.base()));
}

// The cells that `address` refers to, past the end included, as numbers of bytes from it.
std::vector<ptrdiff_t> referred(const char* address) {
  std::vector<ptrdiff_t> found;
  g_heap.for_each_referred(
      address, [&](Cell cell) { found.push_back(g_heap.cell_address(cell) - address); });
  return found;
}

TEST_CASE("[stacks.boundary] what an address refers to where pointers past the end count") {
  using Found = std::vector<ptrdiff_t>;
  const gc::root<std::array<char, 48>> object = gc::make<std::array<char, 48>>();
  const char* const start = object->data();
  const Cell cell = g_heap.find(start);
  REQUIRE(cell.span->cell_size == 48);
  CHECK(referred(start + 1) == Found{-1});
  CHECK(referred(start + 47) == Found{-47});
  const Found at_end = referred(start + 48);
  REQUIRE_FALSE(at_end.empty());
  CHECK(at_end.back() == -48);
  CHECK(referred(start).front() == 0);

  // The last cell of a span: behind it lies the tail, or another span.
  std::vector<gc::root<std::array<char, 48>>> filling;
  const char* last = nullptr;
  while (last == nullptr) {
    filling.emplace_back(gc::make<std::array<char, 48>>());
    const char* const made = filling.back()->data();
    const Cell at = g_heap.find(made);
    if (at.index + 1u == at.span->cells) last = made;
  }
  CHECK_FALSE(g_heap.find(last + 48));
  CHECK(referred(last + 48) == Found{-48});
  CHECK(referred(last + 49).empty());

  // A large object ends with its last page.
  const gc::root<std::array<char, 40960>> large = gc::make<std::array<char, 40960>>();
  const Found behind = referred(large->data() + 40960);
  REQUIRE_FALSE(behind.empty());
  CHECK(behind.back() == -40960);
  CHECK(referred(large->data() + 8192) == Found{-8192});

  // The ends of what the tables describe.
  CHECK(referred(g_heap.base()).empty());
  CHECK(referred(g_heap.base() - 1).empty());
  CHECK(referred(g_heap.base() + g_heap.limit() + 1).empty());
}

}  // namespace
}  // namespace tricolor::runtime
