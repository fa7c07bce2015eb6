#include "runtime/heap/spans.h"

#include <doctest/doctest.h>

#include <cstdint>
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

}  // namespace
}  // namespace tricolor::runtime
