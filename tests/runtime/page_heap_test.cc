#include "runtime/heap/page_heap.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "runtime/os/os.h"
#include "tests/runtime/page_heap_fixture.h"

#include <tricolor/detail/config.hpp>

using namespace tricolor::runtime;
using namespace tricolor::tests;

namespace {

// What the heap should be: one byte of state for every page.
class Model {
 public:
  explicit Model(size_t pages) : state_(pages, kClean) {}

  void allocate(const PageRun& run) {
    bool zeroed = true;
    for (uint32_t page = run.first; page < run.first + run.count; ++page) {
      CHECK_MESSAGE(state_[page] != kUsed, "page ", page, " is given out twice");
      zeroed = zeroed && state_[page] == kClean;
      state_[page] = kUsed;
    }
    CHECK(run.zeroed == zeroed);
  }
  void free(const PageRun& run) {
    for (uint32_t page = run.first; page < run.first + run.count; ++page) {
      state_[page] = run.zeroed ? kClean : kDirty;
    }
  }
  // A piece that is committed in part is not a whole one.
  size_t scavenge(bool whole_only, size_t committed_pages) {
    size_t released = 0;
    for (size_t piece = 0; piece < state_.size(); piece += kPiecePages) {
      bool whole = piece + kPiecePages <= committed_pages;
      for (size_t page = piece; page < piece + kPiecePages; ++page) {
        whole = whole && state_[page] != kUsed;
      }
      if (whole_only && !whole) continue;
      for (size_t page = piece; page < piece + kPiecePages; ++page) {
        if (state_[page] != kDirty) continue;
        state_[page] = kClean;
        released += kPageSize;
      }
    }
    return released;
  }
  size_t dirty_bytes() const { return count(kDirty) * kPageSize; }
  size_t used_bytes() const { return count(kUsed) * kPageSize; }

 private:
  enum State : char { kClean, kDirty, kUsed };

  size_t count(State wanted) const {
    size_t found = 0;
    for (const State state : state_) found += state == wanted;
    return found;
  }

  std::vector<State> state_;
};

bool reads_as_zero(OwnHeap& heap, const PageRun& run) {
  static const char zeros[kPageSize] = {};
  for (uint32_t i = 0; i < run.count; ++i) {
    if (std::memcmp(heap.at(run, i), zeros, kPageSize) != 0) return false;
  }
  return true;
}

void run_against_model(unsigned seed) {
  constexpr size_t kRange = 64 * kMiB;
  INFO("seed ", seed);
  OwnHeap heap(kRange);
  Model model(kRange / kPageSize);
  std::mt19937 random(seed);
  const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
  std::vector<PageRun> live;
  uint32_t live_limit = 600;

  for (int step = 0; step < 6000; ++step) {
    if (step % 1000 == 0) live_limit = 20 + below(900);
    const uint32_t choice = below(1000);
    if (choice < 4) {
      const bool whole_only = choice % 2 == 0;
      const size_t committed = heap.pages.bytes_committed() / kPageSize;
      CHECK(heap.pages.scavenge(~size_t{0}, whole_only) == model.scavenge(whole_only, committed));
    } else if (live.size() < live_limit && choice < 600) {
      const uint32_t count = choice < 300 ? 8 : choice < 590 ? 1 + below(40) : 1 + below(700);
      PageRun run = heap.pages.allocate(count);
      if (!run) continue;
      CHECK(run.count == count);
      model.allocate(run);
      if (run.zeroed && below(4) == 0) CHECK(reads_as_zero(heap, run));
      if (below(8) != 0) heap.touch(run, static_cast<unsigned char>(1 + below(255)));
      live.push_back(run);
    } else if (!live.empty()) {
      const uint32_t victim = below(static_cast<uint32_t>(live.size()));
      PageRun run = live[victim];
      if (run.count > 1 && below(5) == 0) {
        // The front part alone.
        const uint32_t front = 1 + below(run.count - 1);
        live[victim].first += front;
        live[victim].count -= front;
        run.count = front;
      } else {
        live[victim] = live.back();
        live.pop_back();
      }
      model.free(run);
      heap.pages.free(run);
    }
    if (step % 250 == 0) {
      heap.pages.check_invariants();
      CHECK(heap.pages.bytes_in_use() == model.used_bytes());
      CHECK(heap.pages.bytes_free() == model.dirty_bytes());
      CHECK(heap.pages.bytes_in_use() + heap.pages.bytes_free() + heap.pages.bytes_released() ==
            heap.pages.bytes_committed());
    }
  }
  for (const PageRun& run : live) heap.pages.free(run);
  heap.pages.check_invariants();
  CHECK(heap.pages.bytes_in_use() == 0);
  CHECK(heap.pages.used_end() == 0);
}

}  // namespace

// [runs.tags] by check_invariants()
TEST_CASE("random use agrees with a model [pages.exact] [pages.maximal] [pages.zeroed]") {
  for (unsigned seed = 1; seed <= 5; ++seed) run_against_model(seed);
}

TEST_CASE("the first memory is a small step, and reads as zero") {
  OwnHeap heap(64 * kMiB);
  CHECK(heap.pages.bytes_committed() == 0);
  const PageRun run = heap.take(8);
  CHECK(run.first == 0);
  CHECK(run.zeroed);
  CHECK(reads_as_zero(heap, run));
  CHECK(heap.pages.bytes_committed() == kMiB);
  CHECK(heap.pages.page_of(heap.at(run, 7) + kPageSize - 1) == 7);
}

TEST_CASE("freed neighbours become one run, in every order of freeing") {
  const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders) {
    OwnHeap heap(64 * kMiB);
    PageRun runs[3];
    for (PageRun& run : runs) run = heap.take_touched(10);
    const PageRun fence = heap.take(1);
    for (const int which : order) heap.pages.free(runs[which]);
    heap.pages.check_invariants();
    CHECK(heap.take(30).first == runs[0].first);
    CHECK(fence.first == runs[0].first + 30);
  }
}

// [runs.order]
TEST_CASE("[pages.fit] the shortest fitting run wins, then the lowest") {
  OwnHeap heap(64 * kMiB);
  std::vector<PageRun> holes;
  for (const uint32_t count : {300u, 12u, 9u, 80u, 9u, 200u}) {
    holes.push_back(heap.take_touched(count));
    heap.take(1);
  }
  for (const PageRun& hole : holes) heap.pages.free(hole);
  CHECK(heap.take(8).first == holes[2].first);
  CHECK(heap.take(8).first == holes[4].first);
  CHECK(heap.take(8).first == holes[1].first);
  CHECK(heap.take(70).first == holes[3].first);
  CHECK(heap.take(190).first == holes[5].first);
  CHECK(heap.take(190).first == holes[0].first);
  heap.pages.check_invariants();
}

TEST_CASE("[pages.fit] of the same length, a resident run wins over a clean one below it") {
  OwnHeap heap(64 * kMiB);
  PageRun clean = heap.take_touched(8);
  heap.take(1);
  PageRun resident = heap.take_touched(8);
  heap.take(1);
  heap.pages.free(clean);
  CHECK(heap.pages.scavenge(~size_t{0}, false) == 8 * kPageSize);
  heap.pages.free(resident);
  const PageRun first = heap.take(8);
  CHECK(first.first == resident.first);
  CHECK_FALSE(first.zeroed);
  const PageRun second = heap.take(8);
  CHECK(second.first == clean.first);
  CHECK(second.zeroed);
  CHECK(reads_as_zero(heap, second));
}

TEST_CASE("[pages.zeroed] a run is zeroed only if all of it is") {
  OwnHeap heap(64 * kMiB);
  PageRun low = heap.take(4);
  PageRun high = heap.take(4);
  heap.take(1);
  heap.touch(high);
  heap.pages.free(low);
  heap.pages.free(high);
  CHECK_FALSE(heap.take(8).zeroed);
}

TEST_CASE("[pages.zeroed] memory given back untouched stays clean") {
  OwnHeap heap(64 * kMiB);
  const PageRun run = heap.take(8);
  REQUIRE(run.zeroed);
  heap.pages.free(run);
  CHECK(heap.pages.bytes_free() == 0);
  CHECK(heap.take(8).zeroed);
}

TEST_CASE("exhaustion is an empty run, and ends when pages come back") {
  constexpr size_t kRange = 64 * kMiB;
  OwnHeap heap(kRange);
  std::vector<PageRun> runs;
  for (PageRun run; (run = heap.pages.allocate(8));) runs.push_back(run);
  CHECK(runs.size() == kRange / (8 * kPageSize));
  CHECK(heap.pages.bytes_in_use() == kRange);
  CHECK_FALSE(heap.pages.allocate(1));
  heap.pages.check_invariants();

  heap.pages.free(runs[100]);
  CHECK_FALSE(heap.pages.allocate(9));
  CHECK(heap.take(8).first == runs[100].first);

  for (const PageRun& run : runs) heap.pages.free(run);
  CHECK_FALSE(heap.pages.allocate(kRange / kPageSize + 1));
  CHECK(heap.take(kRange / kPageSize).first == 0);
}

TEST_CASE("what would be more than may be in use is refused, free pages or not") {
  OwnHeap heap(64 * kMiB);
  const PageRun run = heap.take(8);
  CHECK_FALSE(heap.pages.allocate(1, 8 * kPageSize));
  CHECK_FALSE(heap.pages.allocate(9, 8 * kPageSize));
  CHECK(heap.pages.allocate(4, 12 * kPageSize));
  heap.pages.free(run);
  CHECK_FALSE(heap.pages.allocate(9, 12 * kPageSize));
  CHECK(heap.pages.allocate(8, 12 * kPageSize));
  CHECK(heap.pages.bytes_in_use() == 12 * kPageSize);
  heap.pages.check_invariants();
}

TEST_CASE("a length no range can hold is refused") {
  OwnHeap heap(64 * kMiB);
  heap.take(8);
  CHECK_FALSE(heap.pages.allocate(~uint32_t{0}));
  heap.pages.check_invariants();
}

TEST_CASE("the end of use falls when the top is freed") {
  OwnHeap heap(64 * kMiB);
  const PageRun low = heap.take(8);
  const PageRun high = heap.take(100);
  CHECK(heap.pages.used_end() == 108);
  heap.pages.free(high);
  CHECK(heap.pages.used_end() == low.first + low.count);
}

TEST_CASE("[pages.failure] a refused commit leaves the heap as it was") {
  // Private writable memory counts against RLIMIT_DATA, reserved memory does not.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_DATA, &before) == 0);
  size_t data_kib = 0;
  std::FILE* const status = std::fopen("/proc/self/status", "r");
  REQUIRE(status != nullptr);
  for (char line[256]; std::fgets(line, sizeof line, status) != nullptr;) {
    if (std::sscanf(line, "VmData: %zu", &data_kib) == 1) break;
  }
  std::fclose(status);
  REQUIRE(data_kib > 0);

  OwnHeap heap(256 * kMiB);
  const PageRun first = heap.take_touched(8);
  const size_t committed = heap.pages.bytes_committed();
  rlimit tight = before;
  tight.rlim_cur = (data_kib << 10) + 16 * kMiB;
  REQUIRE(::setrlimit(RLIMIT_DATA, &tight) == 0);
  const PageRun refused = heap.pages.allocate(128 * kMiB / kPageSize);
  const size_t committed_after = heap.pages.bytes_committed();
  const PageRun smaller = heap.pages.allocate(4 * kMiB / kPageSize);
  REQUIRE(::setrlimit(RLIMIT_DATA, &before) == 0);

  CHECK_FALSE(refused);
  CHECK(committed_after == committed);
  CHECK(smaller.count == 4 * kMiB / kPageSize);
  heap.pages.check_invariants();
  CHECK(heap.take(128 * kMiB / kPageSize).zeroed);
  CHECK(*heap.at(first, 0) == 1);
}

TEST_CASE("a tebibyte of address space costs no memory") {
  // ThreadSanitizer leaves a program 1.5 TiB, of which the collected heap may have taken one.
  OwnHeap heap(size_t{1} << (TRICOLOR_TSAN ? 37 : 40));
  const PageRun run = heap.take(8);
  heap.pages.free(run);
  CHECK(heap.pages.bytes_committed() == kMiB);
}

TEST_CASE("huge pages are asked for above the limit alone") {
  constexpr size_t kRange = 64 * kMiB;
  char* const base = static_cast<char*>(os::reserve_aligned(kRange, os::kHugePageSize));
  REQUIRE(base != nullptr);
  PageHeap pages;
  REQUIRE(pages.init(base, kRange, 4 * kMiB));
  CHECK(pages.allocate(32 * kMiB / kPageSize).first == 0);

  // The kernel shows a mapping's advice in smaps: "hg".
  bool below = false;
  bool above = false;
  bool current_above = false;
  bool current_below = false;
  std::FILE* const maps = std::fopen("/proc/self/smaps", "r");
  REQUIRE(maps != nullptr);
  for (char line[512]; std::fgets(line, sizeof line, maps) != nullptr;) {
    unsigned long from = 0;
    unsigned long to = 0;
    if (std::sscanf(line, "%lx-%lx ", &from, &to) == 2) {
      const auto covers = [&](char* address) {
        const auto value = reinterpret_cast<uintptr_t>(address);
        return from <= value && value < to;
      };
      current_below = covers(base);
      current_above = covers(base + 4 * kMiB);
    }
    if (std::strncmp(line, "VmFlags:", 8) == 0 && std::strstr(line, " hg") != nullptr) {
      below = below || current_below;
      above = above || current_above;
    }
  }
  std::fclose(maps);
  CHECK_FALSE(below);
  CHECK(above);
  pages.shutdown();
  os::unmap(base, kRange);
}

TEST_CASE("threads that allocate, free and scavenge never share a page") {
  constexpr int kThreads = 3;
  constexpr int kSteps = 3000;
  OwnHeap heap(64 * kMiB);
  std::atomic<int> running{kThreads};
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  for (int id = 1; id <= kThreads; ++id) {
    threads.emplace_back([&, id] {
      std::mt19937 random(static_cast<unsigned>(id));
      std::vector<PageRun> own;
      for (int step = 0; step < kSteps; ++step) {
        if (own.size() < 30) {
          PageRun run = heap.pages.allocate(1 + static_cast<uint32_t>(random() % 60));
          if (!run) continue;
          for (uint32_t page = 0; page < run.count; ++page) {
            if (run.zeroed && *heap.at(run, page) != 0) ++torn;
            *heap.at(run, page) = static_cast<char>(id);
          }
          run.zeroed = false;
          own.push_back(run);
        } else {
          const size_t victim = random() % own.size();
          const PageRun run = own[victim];
          for (uint32_t page = 0; page < run.count; ++page) {
            if (*heap.at(run, page) != id) ++torn;
          }
          own[victim] = own.back();
          own.pop_back();
          heap.pages.free(run);
        }
      }
      for (const PageRun& run : own) heap.pages.free(run);
      --running;
    });
  }
  bool exact = true;
  while (running.load() != 0) {
    heap.pages.scavenge(4 * kMiB, false);
    heap.pages.hold_for_fork();
    exact = exact &&
            heap.pages.bytes_in_use() + heap.pages.bytes_free() + heap.pages.bytes_released() ==
                heap.pages.bytes_committed();
    heap.pages.resume_after_fork();
    heap.pages.check_invariants();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(torn.load() == 0);
  CHECK(exact);
  CHECK(heap.pages.bytes_in_use() == 0);
  heap.pages.check_invariants();
}
