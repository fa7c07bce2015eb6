// debug::set_gc_percent, set_memory_limit, set_max_heap, free_os_memory.
#include "tests/support.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <random>

namespace tricolor::tests {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

class MemoryLimit {
 public:
  explicit MemoryLimit(std::int64_t bytes) : previous_(debug::set_memory_limit(bytes)) {}
  ~MemoryLimit() { debug::set_memory_limit(previous_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  std::int64_t previous_;
};

std::int64_t resident_bytes() {
  const auto stats = mem_stats();
  return static_cast<std::int64_t>(stats.sys - stats.heap_released - stats.heap_inuse_released);
}

// A limit so far above what is needed now.
std::int64_t limit_above_live(std::int64_t bytes) {
  collect_all();
  debug::free_os_memory();
  return resident_bytes() + bytes;
}

// Not filled: in a build with a sanitizer that is most of the time.
template <std::size_t Bytes>
struct Unfilled {
  std::array<std::byte, Bytes> bytes;
};

// Allocates `bytes` of garbage in small objects.
void allocate_garbage(std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += 256) gc::keep_alive(gc::make<Unfilled<256>>());
}

TEST_CASE("set_gc_percent: returns what was set before") {
  const int original = debug::set_gc_percent(150);
  CHECK(debug::set_gc_percent(50) == 150);
  CHECK(debug::set_gc_percent(-1) == 50);
  CHECK(debug::set_gc_percent(-7) == -1);
  CHECK(debug::set_gc_percent(original) == -1);
}

TEST_CASE("set_gc_percent: off means no cycles but those asked for") {
  if (debug_setting("gcstress=")) return;
  const GcPercent off(-1);
  runtime::collect();
  const auto before = mem_stats();
  allocate_garbage(scaled(64u << 20));
  CHECK(mem_stats().num_gc == before.num_gc);
  runtime::collect();
  CHECK(mem_stats().num_gc == before.num_gc + 1);
  CHECK(!before.enable_gc == !mem_stats().enable_gc);
}

// [pacing.charge]
TEST_CASE("set_gc_percent: on again, cycles start by themselves") {
  { const GcPercent off(-1); }
  const GcPercent hundred(100);
  runtime::collect();
  const auto before = mem_stats();
  allocate_garbage(256u << 20);
  CHECK(mem_stats().num_gc > before.num_gc);
}

TEST_CASE("set_gc_percent: a smaller value means more cycles") {
  gc::root<gc::ptr<Node>> live = gc::make_array<gc::ptr<Node>>(scaled(400'000));
  for (std::size_t i = 0; i < scaled(400'000); ++i) live[i] = gc::make<Node>(i);
  const auto cycles_with = [](int percent) {
    const GcPercent guard(percent);
    runtime::collect();
    const auto before = mem_stats().num_gc;
    allocate_garbage(scaled(300u << 20));
    return mem_stats().num_gc - before;
  };
  if (debug_setting("gcstress=")) return;
  const auto many = cycles_with(25);
  const auto few = cycles_with(400);
  CHECK(many > few);
  for (std::size_t i = 0; i < scaled(400'000); ++i) REQUIRE(live[i]->intact());
}

TEST_CASE("set_memory_limit: a negative argument only reads") {
  const std::int64_t original = debug::set_memory_limit(-1);
  CHECK(debug::set_memory_limit(1 << 30) == original);
  CHECK(debug::set_memory_limit(-5) == 1 << 30);
  CHECK(debug::set_memory_limit(-1) == 1 << 30);
  CHECK(debug::set_memory_limit(kNoLimit) == 1 << 30);
  CHECK(debug::set_memory_limit(original) == kNoLimit);
}

TEST_CASE("set_memory_limit: with the collector off, cycles keep the heap under it") {
  const GcPercent off(-1);
  const std::int64_t limit = limit_above_live(96 << 20);
  const auto cycles_before = mem_stats().num_gc;
  const MemoryLimit guard(limit);
  for (int i = 0; i < 16; ++i) {
    allocate_garbage(32u << 20);
    const auto now = mem_stats();
    CHECK(now.heap_alloc < static_cast<std::uint64_t>(limit));
  }
  CHECK(mem_stats().num_gc > cycles_before);
}

// [overhead.pages]
TEST_CASE("set_memory_limit: at the limit a cycle still frees most of the room it leaves") {
  if (debug_setting("gcstress=")) return;
  const GcPercent off(-1);
  const MemoryLimit guard(limit_above_live(64 << 20));
  allocate_garbage(128u << 20);  // the limit is reached
  const auto before = mem_stats().num_gc;
  allocate_garbage(640u << 20);
  // About a dozen: 55 to 60 MiB in each.
  CHECK(mem_stats().num_gc - before <= 40);
}

// [pacing.limit]
TEST_CASE("set_memory_limit: threads at full speed stay within it, with half of it alive") {
  if (debug_setting("gcstress=")) return;
  const std::int64_t limit = limit_above_live(64 << 20);
  const MemoryLimit guard(limit);
  constexpr std::size_t kLive = std::size_t{32} << 20 >> 6;
  gc::root<gc::ptr<Unfilled<64>>> live = gc::make_array<gc::ptr<Unfilled<64>>>(kLive);
  for (std::size_t i = 0; i < kLive; ++i) live[i] = gc::make<Unfilled<64>>();
  on_threads(4, [&](std::size_t thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    for (std::size_t i = 0; i < 2'000'000; ++i) {
      auto* const object = gc::make<Unfilled<64>>();
      if (i % 100 == 0) live[random() % kLive] = object;
    }
  });
  // What a control group leaves beside the automatic limit is a ninth of it.
  CHECK(resident_bytes() <= limit + limit / 9);
}

// [pages.limit]
TEST_CASE("set_memory_limit: the heap grows over free pages that are of no use") {
  const GcPercent off(-1);
  const std::int64_t limit = limit_above_live(128 << 20);
  const MemoryLimit guard(limit);
  // Free runs of 64 KiB all over, where no large array fits.
  gc::root<gc::ptr<char>> kept = gc::make_array<gc::ptr<char>>(800);
  for (std::size_t i = 0; i < 800; ++i) {
    kept[i] = gc::make_array<char>(60'000);
    gc::keep_alive(gc::make_array<char>(60'000));
  }
  runtime::collect();
  gc::root<gc::ptr<char>> large = gc::make_array<gc::ptr<char>>(60);
  for (std::size_t i = 0; i < 60; ++i) {
    large[i] = gc::make_array<char>(1 << 20);
    CHECK(resident_bytes() <= limit + (8 << 20));
  }
}

// [overhead.cells] [overhead.allowance] They lie all over, so that hardly a page is free.
TEST_CASE("set_memory_limit: objects in the holes of a scattered heap need few cycles") {
  if (debug_setting("gcstress=")) return;
  const GcPercent off(-1);
  const std::size_t live = 100'000;  // 20 MiB
  gc::root<gc::ptr<Unfilled<200>>> table = gc::make_array<gc::ptr<Unfilled<200>>>(live);
  for (std::size_t i = 0; i < live; ++i) table[i] = gc::make<Unfilled<200>>();
  const MemoryLimit guard(limit_above_live(24 << 20));
  std::minstd_rand random(1);
  const auto replace = [&](std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) table[random() % live] = gc::make<Unfilled<200>>();
  };
  replace(5 * live);
  const auto before = mem_stats().num_gc;
  replace(10 * live);
  // About a dozen; where every hole counted as lost, ten times as many.
  CHECK(mem_stats().num_gc - before <= 40);
}

// [pages.limit]
TEST_CASE("set_memory_limit: large arrays take no more than the limit beside free pages") {
  const GcPercent off(-1);
  const std::int64_t limit = limit_above_live(256 << 20);
  gc::root<gc::ptr<char>> kept = gc::make_array<gc::ptr<char>>(800);
  for (std::size_t i = 0; i < 800; ++i) {
    kept[i] = gc::make_array<char>(250'000);
    std::memset(kept[i].get(), 1, 250'000);
  }
  for (std::size_t i = 0; i < 800; ++i) {
    if (i % 5 != 0) kept[i] = nullptr;
  }
  runtime::collect();  // 150 MiB of free pages, none of them of use for what follows
  const MemoryLimit guard(limit);
  gc::root<gc::ptr<char>> large = gc::make_array<gc::ptr<char>>(5);
  for (std::size_t i = 0; i < 5; ++i) {
    large[i] = gc::make_array<char>(32 << 20);
    std::memset(large[i].get(), 1, 32 << 20);
    CHECK(resident_bytes() <= limit + (16 << 20));
  }
}

TEST_CASE("set_memory_limit: lowered, free pages go back while the program is busy") {
  const std::int64_t base = limit_above_live(0);
  // In frames that are gone: a word that is left of them would keep it all.
  on_fresh_thread([] {
    const gc::root<gc::ptr<char>> kept = gc::make_array<gc::ptr<char>>(200);
    for (std::size_t i = 0; i < 200; ++i) {
      kept[i] = gc::make_array<char>(1 << 20);
      std::memset(kept[i].get(), 1, 1 << 20);
    }
  });
  runtime::collect();
  const MemoryLimit guard(base + (64 << 20));
  CHECK(eventually([&] {
    allocate_garbage(4u << 20);
    return resident_bytes() <= base + (80 << 20);
  }));
}

TEST_CASE("set_memory_limit: one that cannot be met slows the program down but does not stop it") {
  const MemoryLimit tiny(1);
  gc::root<Node> kept;
  for (std::size_t i = 0; i < scaled(20000); ++i) {
    Node* const node = gc::make<Node>(i);
    node->left = i % 100 == 0 ? nullptr : kept.get();
    kept = node;
  }
  for (const Node* node = kept; node != nullptr; node = node->left) REQUIRE(node->intact());
}

TEST_CASE("set_max_heap: returns what was set before") {
  const std::size_t original = debug::set_max_heap(std::size_t{1} << 40);
  CHECK(debug::set_max_heap(0) == std::size_t{1} << 40);
  CHECK(debug::set_max_heap(original) == 0);
}

TEST_CASE("set_max_heap: past it std::bad_alloc, the heap intact, and the program goes on") {
  collect_all();
  const std::size_t cap = mem_stats().heap_inuse + (48u << 20);
  const MaxHeap guard(cap);
  for (int round = 0; round < (kThreadSanitizer ? 1 : 3); ++round) {
    gc::root<Node> list;
    std::size_t length = 0;
    bool thrown = false;
    on_fresh_thread([&] {
      try {
        for (;; ++length) {
          Node* const node = gc::make<Node>(length);
          node->left = list.get();
          list = node;
        }
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      CHECK(mem_stats().heap_inuse <= cap);
      CHECK(length > 200'000);
      std::size_t walked = 0;
      bool whole = true;
      for (const Node* node = list; node != nullptr; node = node->left) {
        whole = whole && node->intact() && node->key == length - 1 - walked;
        ++walked;
      }
      CHECK(whole);
      CHECK(walked == length);
      list = nullptr;
    });
    CHECK(thrown);
    collect_all();
    // Without the list there is room again, in small objects and in large ones.
    for (int i = 0; i < 1000; ++i) gc::keep_alive(gc::make<Node>(1));
    gc::keep_alive(gc::make_array<char>(16u << 20));
  }
}

TEST_CASE("set_max_heap: garbage does not count: allocation goes on for ever under a cap") {
  collect_all();
  const std::size_t cap = mem_stats().heap_inuse + (32u << 20);
  const MaxHeap guard(cap);
  const GcPercent off(-1);  // only the cap starts a cycle
  for (int i = 0; i < 16; ++i) allocate_garbage(scaled(16u << 20));
  CHECK(mem_stats().heap_inuse <= cap);
  for (std::size_t i = 0; i < scaled(200); ++i) gc::keep_alive(gc::make_array<char>(8u << 20));
  CHECK(mem_stats().heap_inuse <= cap);
}

TEST_CASE("set_max_heap: a large object over it is refused at once, others go on") {
  collect_all();
  const MaxHeap guard(mem_stats().heap_inuse + (16u << 20));
  for (int i = 0; i < 10; ++i) {
    CHECK_THROWS_AS(gc::keep_alive(gc::make_array<char>(64u << 20)), std::bad_alloc);
    CHECK(gc::make<Node>(7)->intact());
  }
}

TEST_CASE("set_max_heap: reached by four threads at once, each is told, none is harmed") {
  collect_all();
  const MaxHeap guard(mem_stats().heap_inuse + (48u << 20));
  Findings findings;
  std::atomic<int> told{0};
  std::atomic<int> waiting{0};
  on_threads(4, [&](std::size_t t) {
    gc::root<Node> list;
    std::size_t length = 0;
    try {
      for (;; ++length) {
        Node* const node = gc::make<Node>(t * 1'000'000'000 + length);
        node->left = list.get();
        list = node;
      }
    } catch (const std::bad_alloc&) {
      ++told;
    }
    for (const Node* node = list; node != nullptr; node = node->left) {
      findings.expect(node->intact(), "a node was damaged");
      --length;
    }
    findings.expect(length == 0, "nodes were lost");
    ++waiting;
    findings.expect(eventually([&] { return waiting == 4; }), "a thread did not run out of memory");
  });
  CHECK(told == 4);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("set_max_heap: four threads with a large object each never pass it") {
  collect_all();
  const std::size_t cap = mem_stats().heap_inuse + (20u << 20);
  const MaxHeap guard(cap);
  Findings findings;
  std::atomic<int> made{0};
  on_threads(4, [&](std::size_t) {
    for (std::size_t i = 0; i < scaled(100); ++i) {
      try {
        gc::keep_alive(gc::make_array<char>(12 << 20));
        ++made;
      } catch (const std::bad_alloc&) {
      }
      findings.expect(mem_stats().heap_inuse <= cap, "more was in use than allowed");
    }
  });
  CHECK(made > 0);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("free_os_memory: the free pages go back to the system") {
  on_fresh_thread([] {
    gc::root<gc::ptr<Node>> live = gc::make_array<gc::ptr<Node>>(500'000);
    for (std::size_t i = 0; i < 500'000; ++i) live[i] = gc::make<Node>(i);
  });
  clear_stack();
  debug::free_os_memory();
  const auto stats = mem_stats();
  CHECK(stats.heap_idle >= 16u << 20);
  CHECK(stats.heap_released >= stats.heap_idle * 9 / 10);
  // And they can be had again.
  gc::root<Node> list;
  for (std::size_t i = 0; i < scaled(300'000); ++i) {
    Node* const node = gc::make<Node>(i);
    node->left = list.get();
    list = node;
  }
  for (const Node* node = list; node != nullptr; node = node->left) REQUIRE(node->intact());
}

}  // namespace
}  // namespace tricolor::tests
