// runtime::MemStats: its numbers add up, count what the program did, and agree with a recount.
#include "tests/support.hpp"

#include <limits>

namespace tricolor::tests {
namespace {

void check_sums(const runtime::MemStats& stats) {
  CHECK(stats.alloc == stats.heap_alloc);
  CHECK(stats.mallocs - stats.frees == stats.heap_objects);
  CHECK(stats.heap_inuse + stats.heap_idle == stats.heap_sys);
  CHECK(stats.heap_released <= stats.heap_idle);
  CHECK(stats.heap_alloc <= stats.heap_inuse - stats.heap_inuse_released);
  CHECK(stats.heap_alloc <= stats.total_alloc);
  CHECK(stats.heap_sys <= stats.sys);
  CHECK(stats.heap_sys + stats.gc_sys + stats.other_sys <= stats.sys);
  CHECK(stats.num_forced_gc <= stats.num_gc);
  CHECK(stats.gc_cpu_fraction >= 0);
  CHECK(stats.gc_cpu_fraction <= 1);
  std::uint64_t small_mallocs = 0, small_frees = 0;
  for (std::size_t i = 1; i < stats.by_size.size(); ++i) {
    CHECK(stats.by_size[i].size > stats.by_size[i - 1].size);
    CAPTURE(stats.by_size[i].size);
    CHECK(stats.by_size[i].mallocs >= stats.by_size[i].frees);
    small_mallocs += stats.by_size[i].mallocs;
    small_frees += stats.by_size[i].frees;
  }
  CHECK(small_mallocs <= stats.mallocs);
  CHECK(small_frees <= stats.frees);
}

TEST_CASE("mem_stats: the sums hold at rest, after allocation, after collection, after release") {
  check_sums(mem_stats());
  gc::root<Node> keep;
  for (int i = 0; i < 5; ++i) {
    churn();
    keep = gc::make<Node>(1);
    check_sums(mem_stats());
    runtime::collect();
    check_sums(mem_stats());
  }
  gc::keep_alive(gc::make_array<char>(10'000'000));
  check_sums(mem_stats());
  debug::free_os_memory();
  check_sums(mem_stats());
}

TEST_CASE("mem_stats: counts each allocation of this thread, small and large") {
  struct Odd {
    char bytes[1700];
  };
  const auto before = mem_stats();
  for (int i = 0; i < 1000; ++i) gc::keep_alive(gc::make<Odd>());
  const auto small = mem_stats();
  CHECK(small.mallocs - before.mallocs >= 1000);
  CHECK(small.mallocs - before.mallocs <= 1010);
  CHECK(small.total_alloc - before.total_alloc >= 1'700'000);
  CHECK(small.total_alloc - before.total_alloc <= 2'000'000);
  const unsigned cls = gc::detail::size_class_of(sizeof(Odd));
  CHECK(small.by_size[cls].size >= sizeof(Odd));
  CHECK(small.by_size[cls].mallocs - before.by_size[cls].mallocs == 1000);
  for (int i = 0; i < 10; ++i) gc::keep_alive(gc::make_array<char>(1'000'000));
  const auto large = mem_stats();
  CHECK(large.mallocs - small.mallocs == 10);
  CHECK(large.total_alloc - small.total_alloc >= 10'000'000);
  CHECK(large.total_alloc - small.total_alloc <= 11'000'000);
}

TEST_CASE("mem_stats: counts the allocations of ended threads") {
  const auto before = mem_stats();
  on_threads(4, [](std::size_t) {
    for (int i = 0; i < 2500; ++i) gc::keep_alive(gc::make<Blob<900>>(1));
  });
  const auto after = mem_stats();
  const unsigned cls = gc::detail::size_class_of(900);
  CHECK(after.by_size[cls].mallocs - before.by_size[cls].mallocs == 10000);
}

TEST_CASE("mem_stats: cumulative figures only grow") {
  auto last = mem_stats();
  for (int i = 0; i < 10; ++i) {
    churn(3000);
    if (i % 3 == 0) runtime::collect();
    const auto now = mem_stats();
    CHECK(now.total_alloc >= last.total_alloc);
    CHECK(now.mallocs >= last.mallocs);
    CHECK(now.frees >= last.frees);
    CHECK(now.num_gc >= last.num_gc);
    CHECK(now.pause_total_ns >= last.pause_total_ns);
    CHECK(now.last_gc >= last.last_gc);
    last = now;
  }
}

TEST_CASE("mem_stats: a forced collection is counted, and recorded in its pause slot") {
  const auto before = mem_stats();
  runtime::collect();
  runtime::collect();
  const auto after = mem_stats();
  CHECK(after.num_forced_gc == before.num_forced_gc + 2);
  CHECK(after.num_gc >= before.num_gc + 2);
  CHECK(after.last_gc >= before.last_gc);
  CHECK(after.last_gc > 1'600'000'000ull * 1'000'000'000ull);  // this century
  const std::size_t slot = (after.num_gc + 255) % 256;
  CHECK(after.pause_end[slot] > before.pause_end[slot]);
  CHECK(after.pause_total_ns - before.pause_total_ns >= after.pause_ns[slot]);
}

TEST_CASE("mem_stats: many cycles go round the pause ring") {
  const auto first = mem_stats();
  for (int i = 0; i < 300; ++i) runtime::collect();
  const auto stats = mem_stats();
  CHECK(stats.num_gc >= first.num_gc + 300);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    CHECK(stats.pause_end[i] != 0);
    sum += stats.pause_ns[i];
  }
  CHECK(sum <= stats.pause_total_ns);
}

TEST_CASE("mem_stats: the goal is above the live heap, and gone when the collector is off") {
  gc::root<Node> node = gc::make<Node>(1);
  runtime::collect();
  CHECK(mem_stats().next_gc > 0);
  CHECK(mem_stats().enable_gc);
  if (debug::set_memory_limit(-1) == std::numeric_limits<std::int64_t>::max()) {
    const GcPercent off(-1);
    CHECK(mem_stats().next_gc == std::numeric_limits<std::uint64_t>::max());
  }
  const GcPercent hundred(100);
  runtime::collect();
  const auto stats = mem_stats();
  CHECK(stats.next_gc >= 4u << 20);
  CHECK(stats.next_gc < std::max<std::uint64_t>(4 * stats.heap_alloc, 16u << 20));
}

// Objects of sizes that nothing else in this program has, counted by hand.
struct Recount {
  std::size_t made = 0;
  std::vector<gc::root<unsigned char>> live;
};

// [stats.add-up] [spans.table] What the sweep does not visit is not counted as freed.
TEST_CASE("mem_stats: agrees with a recount of the heap, class by class") {
  Random random(announce_seed("recount"));
  constexpr std::array<std::size_t, 5> kSizes = {720, 1900, 3800, 7600, 15300};
  std::array<Recount, kSizes.size()> counts;
  const GcPercent off(-1);  // what dies is reclaimed when the test says so
  collect_all();
  const auto base = mem_stats();
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < scaled(20000); ++i) {
      const std::size_t k = random.below(kSizes.size());
      ++counts[k].made;
      counts[k].live.emplace_back(gc::make_array<unsigned char>(kSizes[k]));
    }
  });
  const auto check = [&](const runtime::MemStats& stats) {
    std::uint64_t bytes = 0;
    for (std::size_t k = 0; k < kSizes.size(); ++k) {
      const unsigned cls = gc::detail::size_class_of(kSizes[k] + sizeof(void*));
      const std::uint64_t live_before = base.by_size[cls].mallocs - base.by_size[cls].frees;
      const std::uint64_t live =
          stats.by_size[cls].mallocs - stats.by_size[cls].frees - live_before;
      CAPTURE(kSizes[k]);
      CHECK(stats.by_size[cls].mallocs - base.by_size[cls].mallocs == counts[k].made);
      CHECK(live >= counts[k].live.size());
      CHECK(live <= counts[k].live.size() + 2);
      bytes += live * stats.by_size[cls].size;
      for (const auto& array : counts[k].live) {
        if (!gc::is_managed(array.get())) FAIL("a live array is not managed");
      }
    }
    CHECK(stats.heap_alloc + (1u << 20) >= base.heap_alloc + bytes);
    CHECK(stats.heap_alloc <= base.heap_alloc + bytes + (1u << 20));
  };
  check(mem_stats());
  for (int round = 0; round < 4; ++round) {
    on_fresh_thread([&] {
      for (Recount& count : counts) {
        for (auto& array : count.live) {
          if (random.one_in(2)) array.swap(count.live.back());
        }
        count.live.resize(count.live.size() - count.live.size() / 3);
      }
    });
    collect_all();
    check(mem_stats());
  }
}

}  // namespace
}  // namespace tricolor::tests
