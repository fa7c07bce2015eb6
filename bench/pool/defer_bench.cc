// What deferred calls cost: sync::defer, and 1, 10 and 10,000 of them on a sync::DeferStack, with
// an argument each; and the memory that 10,000 pending calls take. defer.go is the same for Go's
// defer.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bench/process.h"

#include <tricolor/sync.hpp>

namespace {

namespace sync = tricolor::sync;

std::uint64_t g_sum = 0;

[[gnu::noinline]] void add(std::uint64_t n) { g_sum += n; }

[[gnu::noinline]] void guard(std::uint64_t n) {
  auto d = sync::defer([n] { add(n); });
  asm volatile("" : : : "memory");
}

[[gnu::noinline]] void pending(std::size_t count) {
  sync::DeferStack d;
  for (std::uint64_t i = 0; i < count; ++i) d.push(add, i);
}

// Of rounds of f, the median of 9 runs; nanoseconds a round.
template <class F>
double median_ns(std::size_t rounds, F f) {
  std::vector<double> times;
  for (int run = 0; run < 9; ++run) {
    const double start = bench::now_s();
    for (std::size_t i = 0; i < rounds; ++i) f(i);
    times.push_back((bench::now_s() - start) * 1e9 / static_cast<double>(rounds));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

std::uint64_t total_alloc() {
  tricolor::runtime::MemStats stats;
  tricolor::runtime::read_mem_stats(stats);
  return stats.total_alloc;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments(argc, argv);
  const std::size_t scale = arguments.has("--quick") ? 20 : 1;
  bench::Figures figures;
  figures.add("guard ns", median_ns(20'000'000 / scale, guard));
  for (const std::size_t count : {1u, 10u, 10'000u}) {
    const double ns =
        median_ns(5'000'000 / scale / count, [count](std::size_t) { pending(count); });
    figures.add("pending " + std::to_string(count) + " ns", ns / static_cast<double>(count));
  }
  const std::uint64_t before = total_alloc();
  pending(10'000);
  figures.add("pending 10000 KB", static_cast<double>(total_alloc() - before) / 1024);
  figures.print();
}
