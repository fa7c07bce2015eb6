// What traced memory costs: taking and giving cells beside malloc, registering ranges and stacks,
// and the stop.
//
//   pair     one thread takes a cell and gives it back, sizes 16 to 144
//   churn    threads replace one of 1000 cells of 10 to 500 bytes each
//   cross    one thread takes 20000 cells, another gives them back
//   frames   a coroutine frame of 200 bytes among 100,000 suspended ones is replaced
//   stop     so many MB of traced memory, a hundredth of its pages written a cycle; the collector's own figures
//
// Both sides run in turns in one process; figures are medians of the rounds. --quick makes fewer of
// them.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <tricolor/prelude.hpp>
#include <tricolor/traced.hpp>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double ns_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

struct Malloc {
  static void* take(std::size_t bytes) { return std::malloc(bytes); }
  static void give(void* cell) { std::free(cell); }
};

struct Traced {
  static void* take(std::size_t bytes) { return gc::detail::allocate_traced(bytes); }
  static void give(void* cell) { gc::detail::free_traced(cell); }
};

struct Lcg {
  std::uint32_t state;
  std::uint32_t next() { return state = state * 1664525u + 1013904223u; }
};

template <class Memory>
double pair() {
  constexpr int kRounds = 2'000'000;
  const auto start = Clock::now();
  for (int i = 0; i < kRounds; ++i) {
    void* cell = Memory::take(16 + static_cast<std::size_t>(i & 7) * 16);
    asm volatile("" : "+r"(cell)::"memory");
    Memory::give(cell);
  }
  return ns_since(start) / kRounds;
}

template <class Memory>
double churn(unsigned threads, std::size_t kept, std::size_t least, std::size_t spread) {
  constexpr int kRounds = 500'000;
  const auto start = Clock::now();
  std::vector<std::thread> all;
  for (unsigned t = 0; t < threads; ++t) {
    all.emplace_back([=] {
      std::vector<void*> cells(kept);
      Lcg random{t + 1};
      for (int i = 0; i < kRounds; ++i) {
        void*& cell = cells[(random.next() >> 8) % kept];
        Memory::give(cell);
        cell = Memory::take(least + (random.next() >> 16) % spread);
        *static_cast<volatile char*>(cell) = 1;
      }
      for (void* cell : cells) Memory::give(cell);
    });
  }
  for (std::thread& thread : all) thread.join();
  return ns_since(start) / kRounds;
}

template <class Memory>
double cross() {
  constexpr std::size_t kCells = 20'000;
  constexpr int kRounds = 20;
  std::vector<void*> cells(kCells);
  const auto start = Clock::now();
  for (int i = 0; i < kRounds; ++i) {
    std::thread([&] {
      for (void*& cell : cells) *static_cast<volatile char*>(cell = Memory::take(64)) = 1;
    }).join();
    std::thread([&] {
      for (void* cell : cells) Memory::give(cell);
    }).join();
  }
  return ns_since(start) / kRounds / kCells;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class F, class G>
void compare(std::string_view what, int rounds, F of_malloc, G of_traced) {
  std::vector<double> mallocs;
  std::vector<double> traced;
  for (int i = 0; i < rounds; ++i) {
    mallocs.push_back(of_malloc());
    traced.push_back(of_traced());
  }
  const double m = median(mallocs);
  const double t = median(traced);
  fmt::print("{:<10} malloc {:8.1f} ns  traced {:8.1f} ns  ratio {:.2f}\n", what, m, t, t / m);
}

void registering() {
  std::vector<char> memory(50'001 * 256);
  std::vector<runtime::RootRange> ranges;
  for (std::size_t i = 0; i < 50'000; ++i)
    ranges.push_back(runtime::register_roots(&memory[i * 256], &memory[i * 256 + 256]));
  const auto start = Clock::now();
  for (int i = 0; i < 2000; ++i)
    static_cast<void>(runtime::register_roots(&memory[50'000 * 256], &memory[50'001 * 256]));
  fmt::print("{:<10} {:.0f} ns with 50,000 registered\n", "range", ns_since(start) / 2000);
}

// Run under GODEBUG=gctrace=2 for dirty pages, precleans and the stop of each cycle.
void stop(std::size_t megabytes, int cycles) {
  struct Node {
    gc::ptr<Node> next;
  };
  constexpr std::size_t kWords = 8192;
  std::vector<gc::traced::vector<Node*>> blocks;
  for (std::size_t i = 0; i < megabytes * 16; ++i) {
    blocks.emplace_back(kWords);
    for (std::size_t at = 0; at < kWords; at += 512) blocks.back()[at] = gc::make<Node>();
  }
  std::vector<double> pauses;
  Lcg random{1};
  for (int c = 0; c < cycles; ++c) {
    std::thread writer([&] {
      for (std::size_t i = 0; i < megabytes * 256 / 100; ++i) {
        auto& block = blocks[(random.next() >> 8) % blocks.size()];
        block[(random.next() >> 8) % kWords] = gc::make<Node>();
        if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    runtime::collect();
    writer.join();
    runtime::MemStats stats;
    runtime::read_mem_stats(stats);
    pauses.push_back(static_cast<double>(stats.pause_ns[(stats.num_gc + 255) % 256]) / 1e6);
  }
  std::sort(pauses.begin(), pauses.end());
  fmt::print("{:<10} {} MB: median {:.2f} ms, max {:.2f} ms of {} cycles\n", "stop", megabytes,
             pauses[pauses.size() / 2], pauses.back(), cycles);
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  const int rounds = quick ? 3 : 11;
  const unsigned all = std::max(1u, std::thread::hardware_concurrency());
  compare("pair", rounds, pair<Malloc>, pair<Traced>);
  compare(
      "churn 1", rounds, [] { return churn<Malloc>(1, 1000, 10, 490); },
      [] { return churn<Traced>(1, 1000, 10, 490); });
  compare(
      "churn all", rounds, [=] { return churn<Malloc>(all, 1000, 10, 490); },
      [=] { return churn<Traced>(all, 1000, 10, 490); });
  compare("cross", rounds, cross<Malloc>, cross<Traced>);
  compare(
      "frames", rounds, [] { return churn<Malloc>(1, 100'000, 200, 1); },
      [] { return churn<Traced>(1, 100'000, 200, 1); });
  registering();
  stop(quick ? 64 : 1024, quick ? 5 : 50);
}
