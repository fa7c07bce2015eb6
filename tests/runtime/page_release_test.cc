#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runtime/heap/page_heap.h"
#include "runtime/os/os.h"
#include "tests/runtime/page_heap_fixture.h"

using namespace tricolor::runtime;
using namespace tricolor::tests;

TEST_CASE("scavenging everything leaves nothing resident") {
  OwnHeap heap(64 * kMiB);
  const PageRun large = heap.take_touched(40 * kMiB / kPageSize);
  const PageRun small = heap.take_touched(3);
  CHECK(heap.resident_bytes() >= (40 * kMiB) / 2);
  heap.pages.free(large);
  heap.pages.free(small);
  const size_t freed = 40 * kMiB + 3 * kPageSize;
  CHECK(heap.pages.bytes_free() == freed);
  CHECK(heap.pages.scavenge(~size_t{0}, false) == freed);
  CHECK(heap.resident_bytes() == 0);
  CHECK(heap.pages.bytes_free() == 0);
  CHECK(heap.pages.bytes_released() == heap.pages.bytes_committed());
  CHECK(heap.pages.scavenge(~size_t{0}, false) == 0);
  heap.pages.check_invariants();
}

TEST_CASE("scavenging leaves what is in use alone") {
  OwnHeap heap(64 * kMiB);
  std::vector<PageRun> runs;
  for (unsigned char i = 0; i < 200; ++i) {
    runs.push_back(heap.take(8));
    heap.touch(runs.back(), static_cast<unsigned char>(i + 1));
  }
  for (size_t i = 0; i < runs.size(); i += 2) heap.pages.free(runs[i]);
  CHECK(heap.pages.scavenge(~size_t{0}, false) == 100 * 8 * kPageSize);
  for (size_t i = 1; i < runs.size(); i += 2) {
    for (uint32_t page = 0; page < 8; ++page) {
      CHECK(static_cast<unsigned char>(*heap.at(runs[i], page)) == i + 1);
    }
  }
  heap.pages.check_invariants();
}

TEST_CASE("whole pieces only: pieces with a page in use stay") {
  OwnHeap heap(64 * kMiB);
  const PageRun run = heap.take_touched(4 * kPiecePages);
  PageRun freed = run;
  // The lowest page keeps the first piece.
  freed.first += 1;
  freed.count -= 1;
  heap.pages.free(freed);
  CHECK(heap.pages.scavenge(~size_t{0}, true) == 3 * os::kHugePageSize);
  CHECK(heap.pages.bytes_free() == (kPiecePages - 1) * kPageSize);
  CHECK(heap.pages.scavenge(~size_t{0}, false) == (kPiecePages - 1) * kPageSize);
}

TEST_CASE("a bounded scavenge takes the highest whole pieces first") {
  OwnHeap heap(64 * kMiB);
  const PageRun run = heap.take_touched(6 * kPiecePages + 10);
  heap.pages.free(run);
  CHECK(heap.pages.scavenge(3 * kMiB, false) == 2 * os::kHugePageSize);
  heap.pages.check_invariants();
  const PageRun low = heap.take(4 * kPiecePages);
  CHECK(low.first == 0);
  CHECK_FALSE(low.zeroed);
  const PageRun high = heap.take(2 * kPiecePages);
  CHECK(high.first == 4 * kPiecePages);
  CHECK(high.zeroed);
}

TEST_CASE("[pages.limit] growth over the limit returns free pages in exchange") {
  OwnHeap heap(64 * kMiB);
  std::vector<PageRun> runs;
  for (int i = 0; i < 64; ++i) runs.push_back(heap.take_touched(32));
  for (size_t i = 0; i < runs.size(); i += 2) heap.pages.free(runs[i]);  // 8 MiB, every other run
  heap.pages.set_resident_limit(16 * kMiB + 36 * kPageSize);

  // What fits into free pages, and what the limit has room for, cost nothing.
  heap.touch(runs[0] = heap.take(32));
  const PageRun within = heap.take(36);
  CHECK(heap.pages.take_eagerly_released() == 0);
  const PageRun beyond = heap.take(64);
  CHECK(heap.pages.take_eagerly_released() == 64 * kPageSize);
  CHECK(heap.pages.take_eagerly_released() == 0);
  CHECK(heap.pages.bytes_in_use() + heap.pages.bytes_free() <= 16 * kMiB + 36 * kPageSize);
  heap.pages.check_invariants();

  // A limit far below is approached by twice what is taken, and nothing more than the free pages.
  heap.pages.set_resident_limit(1);
  const size_t free_before = heap.pages.bytes_free();
  const PageRun far = heap.take(64);
  CHECK(free_before - heap.pages.bytes_free() == 128 * kPageSize);
  const PageRun rest = heap.take(1000);
  CHECK(heap.pages.bytes_free() == 0);
  const PageRun more = heap.take(1000);
  CHECK(more.count == 1000);
  for (const PageRun& run : {within, beyond, far, rest, more}) heap.pages.free(run);
  heap.pages.check_invariants();
}

TEST_CASE("[pages.limit] what is resident over the limit goes a slice at a time") {
  OwnHeap heap(64 * kMiB);
  const PageRun kept = heap.take_touched(4 * kMiB / kPageSize);
  PageRun run = heap.take_touched(20 * kMiB / kPageSize);
  const PageRun above = heap.take_touched(kMiB / kPageSize);
  heap.pages.free(run);
  CHECK(heap.pages.excess_bytes() == 0);
  CHECK(heap.pages.release_excess(SIZE_MAX) == 0);

  heap.pages.set_resident_limit(8 * kMiB);
  CHECK(heap.pages.excess_bytes() == 17 * kMiB);
  const PageRun dirty = heap.take(8 * kMiB / kPageSize);  // nothing clean: nothing in exchange
  CHECK(heap.pages.excess_bytes() == 17 * kMiB);
  CHECK(heap.pages.release_excess(64 * kPageSize) >= 64 * kPageSize);
  size_t slices = 0;
  for (size_t released; (released = heap.pages.release_excess(SIZE_MAX)) > 0; ++slices) {
    CHECK(released <= 10 * kMiB);
  }
  CHECK(slices == 2);
  CHECK(heap.pages.bytes_free() == 0);
  CHECK(heap.pages.excess_bytes() == 5 * kMiB);  // in use
  for (const PageRun& each : {kept, above, dirty}) heap.pages.free(each);
  heap.pages.check_invariants();
}

// By the calls themselves: the sanitizers' mlock does nothing.
TEST_CASE("[pages.limit] pages that the system refuses are asked for again, at times") {
  OwnHeap heap(64 * kMiB);
  const PageRun refused = heap.take_touched(6 * kMiB / kPageSize);
  const PageRun other = heap.take_touched(4 * kMiB / kPageSize);
  char* const start = heap.at(refused, 0);
  if (::syscall(SYS_mlock, start, 6 * kMiB) != 0) {
    MESSAGE("left out: this process may not lock 6 MiB of memory");
    return;
  }
  heap.pages.free(refused);
  heap.pages.set_resident_limit(kMiB);
  CHECK(heap.pages.release_excess(SIZE_MAX) == 0);
  CHECK(heap.pages.bytes_free() == 6 * kMiB);
  REQUIRE(::syscall(SYS_munlock, start, 6 * kMiB) == 0);
  CHECK(heap.pages.release_excess(SIZE_MAX) == 0);
  // Fewer are free now; those that come on top of them are worth a try, and so are all.
  const PageRun most = heap.take(4 * kMiB / kPageSize);
  CHECK(heap.pages.release_excess(SIZE_MAX) == 0);
  heap.pages.free(other);
  size_t done = 0;
  for (size_t released; (released = heap.pages.release_excess(SIZE_MAX)) > 0;) done += released;
  CHECK(done == 6 * kMiB);
  heap.pages.free(most);
  heap.pages.check_invariants();
}

TEST_CASE("memory on its way to the system is not missing") {
  constexpr size_t kRange = 64 * kMiB;
  constexpr uint32_t kAll = kRange / kPageSize;
  OwnHeap heap(kRange);
  std::atomic<bool> done{false};
  std::thread scavenger([&] {
    while (!done.load()) heap.pages.scavenge(~size_t{0}, false);
  });
  int refused = 0;
  for (int round = 0; round < 50; ++round) {
    PageRun run = heap.pages.allocate(kAll);
    if (!run) {
      ++refused;
      continue;
    }
    for (uint32_t page = 0; page < kAll; page += 16) *heap.at(run, page) = 1;
    run.zeroed = false;
    heap.pages.free(run);
    // Pages on their way look used from outside; without any free, the scavenger was faster.
    while (heap.pages.used_end() == 0 && heap.pages.bytes_free() != 0) os::yield();
  }
  done.store(true);
  scavenger.join();
  CHECK(refused == 0);
}
