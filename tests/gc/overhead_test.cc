// Amounts in MiB. A scattered heap has more pages in use than it has live bytes.
#include "gc/overhead.h"

#include <doctest/doctest.h>

#include "gc/pacer.h"
#include "runtime/options.h"

namespace tricolor::gc {
namespace {

constexpr int64_t kMiB = 1 << 20;

HeapBytes heap_of(int64_t limit, int64_t tables, int64_t in_use, int64_t live, int64_t marked) {
  HeapBytes heap;
  heap.limit = limit * kMiB;
  heap.tables = tables * kMiB;
  heap.in_use = in_use * kMiB;
  heap.live = live * kMiB;
  heap.marked = marked * kMiB;
  return heap;
}

// What the pacer leaves between the live heap and its goal.
int64_t room(const Overhead& overhead, const HeapBytes& heap) {
  return heap.limit - Pacer::kLimitHeadroom - overhead.bytes(heap) - heap.live;
}

TEST_CASE("overhead: far from the limit all tables and free cells count") {
  const HeapBytes heap = heap_of(1000, 10, 300, 200, 200);
  Overhead overhead;
  overhead.swept(heap);
  CHECK(overhead.bytes(heap) == 110 * kMiB);
  CHECK(overhead.when_swept() == 110 * kMiB);
  CHECK(overhead.filled(heap) == 0);
}

TEST_CASE("[overhead.pages] what is not in use does not count, however much is resident") {
  Overhead overhead;
  const HeapBytes heap = heap_of(400, 0, 200, 200, 200);
  overhead.swept(heap);
  CHECK(overhead.bytes(heap) == 0);
  CHECK(room(overhead, heap) == 199 * kMiB);
}

TEST_CASE("[overhead.cells] objects in free cells are filled ones, those in new pages are not") {
  Overhead overhead;
  overhead.swept(heap_of(1000, 10, 300, 200, 200));
  const HeapBytes in_cells = heap_of(1000, 10, 300, 260, 200);
  CHECK(overhead.bytes(in_cells) == 50 * kMiB);
  CHECK(overhead.filled(in_cells) == 60 * kMiB);
  const HeapBytes in_pages = heap_of(1000, 10, 360, 260, 200);
  CHECK(overhead.bytes(in_pages) == 110 * kMiB);
  CHECK(overhead.filled(in_pages) == 0);
}

TEST_CASE("[overhead.cells] what was allocated while the sweep lasted was filled") {
  Overhead overhead;
  const HeapBytes heap = heap_of(1000, 10, 300, 220, 200);
  overhead.swept(heap);
  CHECK(overhead.bytes(heap) == 90 * kMiB);
  CHECK(overhead.when_swept() == 110 * kMiB);
  CHECK(overhead.filled(heap) == 20 * kMiB);
}

// Arrays whose destructors run late, or that gc::destroy takes.
TEST_CASE("[overhead.cells] pages that large objects give back are not filled") {
  Overhead overhead;
  overhead.swept(heap_of(1000, 25, 1000, 300, 300));
  const HeapBytes later = heap_of(1000, 25, 330, 320, 300);
  CHECK(overhead.bytes(later) == 35 * kMiB);
  CHECK(overhead.filled(later) == 20 * kMiB);
}

TEST_CASE("[overhead.allowance] a sixteenth of the live heap, or half of the free cells") {
  Overhead overhead;
  const HeapBytes many_cells = heap_of(100, 0, 100, 64, 64);
  overhead.swept(many_cells);
  CHECK(room(overhead, many_cells) == 4 * kMiB);
  const HeapBytes few_cells = heap_of(100, 0, 100, 98, 98);
  overhead.swept(few_cells);
  CHECK(room(overhead, few_cells) == 1 * kMiB);
  const HeapBytes none = heap_of(100, 0, 120, 120, 120);
  overhead.swept(none);
  CHECK(overhead.bytes(none) == 0);
}

TEST_CASE("[overhead.allowance] filling cells keeps it, growing does not add to it") {
  Overhead overhead;
  overhead.swept(heap_of(100, 0, 100, 64, 64));  // 4 + 1 MiB
  CHECK(overhead.bytes(heap_of(100, 0, 100, 74, 64)) == 21 * kMiB);
  CHECK(overhead.bytes(heap_of(100, 0, 110, 74, 64)) == 31 * kMiB);
}

TEST_CASE("[overhead.allowance] it is for cells: tables count in full") {
  Overhead overhead;
  const HeapBytes swept = heap_of(100, 10, 100, 64, 64);
  overhead.swept(swept);
  CHECK(room(overhead, swept) == 4 * kMiB);
  CHECK(overhead.bytes(heap_of(100, 10, 100, 98, 64)) == 10 * kMiB);
}

TEST_CASE("[overhead.allowance] it ends where there is room again") {
  Overhead overhead;
  const HeapBytes swept = heap_of(1000, 25, 1500, 320, 320);
  overhead.swept(swept);
  CHECK(room(overhead, swept) == 20 * kMiB);
  const HeapBytes later = heap_of(1000, 25, 430, 320, 320);
  CHECK(overhead.bytes(later) == 135 * kMiB);
  CHECK(room(overhead, later) == 544 * kMiB);
}

TEST_CASE("overhead: a new limit changes the allowance, not what was filled") {
  Overhead overhead;
  overhead.swept(heap_of(1000, 10, 300, 200, 200));
  const HeapBytes before = heap_of(1000, 10, 300, 240, 200);
  const HeapBytes lowered = heap_of(300, 10, 300, 240, 200);
  overhead.limit_changed(before, lowered);
  CHECK(overhead.filled(lowered) == 40 * kMiB);
  CHECK(room(overhead, lowered) == 15 * kMiB);
  overhead.limit_changed(lowered, before);
  CHECK(overhead.filled(before) == 40 * kMiB);
  CHECK(overhead.bytes(before) == 70 * kMiB);
}

TEST_CASE("overhead: a heap that grew before its first limit has filled nothing") {
  Overhead overhead;
  overhead.swept(heap_of(1000, 1, 0, 0, 0));
  const HeapBytes before = heap_of(1000, 5, 800, 790, 0);
  const HeapBytes heap = heap_of(900, 5, 800, 790, 0);
  overhead.limit_changed(before, heap);
  CHECK(overhead.filled(heap) == 0);
}

TEST_CASE("overhead: no limit, and one that nothing meets") {
  Overhead overhead;
  HeapBytes heap = heap_of(0, 10, 300, 200, 200);
  heap.limit = runtime::kNoMemoryLimit;
  overhead.swept(heap);
  CHECK(overhead.bytes(heap) == 110 * kMiB);
  heap.limit = 0;
  overhead.swept(heap);
  CHECK(overhead.bytes(heap) == 10 * kMiB);
}

}  // namespace
}  // namespace tricolor::gc
