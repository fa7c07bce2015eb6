// How long the collector holds a thread.
//
// Idle machine: one thread runs beside forced collections and looks at the clock all the time; the
// gaps above 2 us are what it was held for. It takes turns with a thread that does the same and is
// unknown to the library, so that what the machine takes by itself can be seen. Once the thread
// never enters the library, so that signals reach it, and once it allocates.
//
// Under load: 1, 2 and 8 threads allocate and keep some of it; the figures are the collector's own
// (GCTRACE=2), of all cycles.
//
// --quick makes a run of seconds, --json ends with the figures as a line of JSON.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <map>
#include <thread>
#include <tricolor/tricolor.hpp>
#include <utility>
#include <vector>

#include "bench/process.h"

namespace {

namespace gc = tricolor::gc;
namespace runtime = tricolor::runtime;

struct Node {
  gc::ptr<Node> left;
  gc::ptr<Node> right;
};

Node* build(unsigned depth) {
  Node* const node = gc::make<Node>();
  if (depth > 0) {
    node->left = build(depth - 1);
    node->right = build(depth - 1);
  }
  return node;
}

bench::Figures& figures() {
  static bench::Figures all;
  return all;
}

// Percentiles of sorted values; the title and they are the figures' names.
void add_percentiles(const std::string& title, const std::vector<double>& sorted) {
  for (const auto& [name, p] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}})
    figures().add(fmt::format("{} {} us", title, name), bench::percentile(sorted, p));
  figures().add(fmt::format("{} max us", title), sorted.empty() ? 0 : sorted.back());
}

// --- Idle machine --------------------------------------------------------------------------------

enum class Watcher { kControl, kSpinning, kAllocating };

constexpr double kGapUs = 2;

// The gaps that a thread sees in so many seconds.
std::vector<double> watch(Watcher watcher, double seconds) {
  std::vector<double> gaps;
  std::thread thread([&] {
    if (watcher != Watcher::kControl) runtime::attach_thread();
    gaps.reserve(1 << 20);
    const double end = bench::now_s() + seconds;
    for (double last = bench::now_s(); last < end;) {
      if (watcher == Watcher::kAllocating) gc::keep_alive(gc::make<Node>());
      const double now = bench::now_s();
      if ((now - last) * 1e6 > kGapUs && gaps.size() < gaps.capacity())
        gaps.push_back((now - last) * 1e6);
      last = now;
    }
  });
  const runtime::BlockingScope blocked;
  thread.join();
  return gaps;
}

void print_gaps(std::string_view who, std::vector<double> gaps, double seconds) {
  std::sort(gaps.begin(), gaps.end());
  fmt::print(
      "  {:<32} {:>7.0f} gaps/s   p50 {:>6.1f}  p90 {:>6.1f}  p99 {:>7.1f}  max {:>8.1f} us\n", who,
      static_cast<double>(gaps.size()) / seconds, bench::percentile(gaps, 0.5),
      bench::percentile(gaps, 0.9), bench::percentile(gaps, 0.99), gaps.empty() ? 0 : gaps.back());
  const std::string title = "gaps, " + std::string(who);
  figures().add(title + ", a second", static_cast<double>(gaps.size()) / seconds);
  add_percentiles(title, gaps);
}

void run_idle(bool quick) {
  const unsigned rounds = quick ? 1 : 5;
  const double seconds = quick ? 0.3 : 1;
  static gc::root<Node> live;
  live = build(quick ? 12 : 18);

  std::atomic<bool> stop{false};
  std::thread requester([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      runtime::collect();
      const runtime::BlockingScope blocked;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  std::array<std::vector<double>, 3> gaps;
  for (unsigned round = 0; round < rounds; ++round) {
    for (const Watcher w : {Watcher::kControl, Watcher::kSpinning, Watcher::kAllocating}) {
      const std::vector<double> seen = watch(w, seconds);
      auto& all = gaps[static_cast<std::size_t>(w)];
      all.insert(all.end(), seen.begin(), seen.end());
    }
  }
  stop.store(true, std::memory_order_relaxed);
  {
    const runtime::BlockingScope blocked;
    requester.join();
  }
  fmt::print("one thread beside forced collections\n");
  print_gaps("control, unknown to the library", gaps[0], rounds * seconds);
  print_gaps("never in the library", gaps[1], rounds * seconds);
  print_gaps("allocates", gaps[2], rounds * seconds);

  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  const std::size_t cycles = std::min<std::size_t>(stats.num_gc, stats.pause_ns.size());
  std::vector<double> longest;
  for (std::size_t i = 0; i < cycles; ++i)
    longest.push_back(static_cast<double>(stats.pause_ns[(stats.num_gc + 255 - i) % 256]) * 1e-3);
  std::sort(longest.begin(), longest.end());
  fmt::print(
      "  longest handshake of a cycle, {} cycles: p50 {:.1f}  p90 {:.1f}  p99 {:.1f}  max {:.1f} "
      "us\n",
      cycles, bench::percentile(longest, 0.5), bench::percentile(longest, 0.9),
      bench::percentile(longest, 0.99), longest.empty() ? 0 : longest.back());
  add_percentiles("handshake, idle machine", longest);
}

// --- Load ----------------------------------------------------------------------------------------

// The process that makes the load: its stderr is the trace.
void load(unsigned threads, double seconds) {
  const double end = bench::now_s() + seconds;
  std::vector<std::thread> all;
  for (unsigned i = 0; i < threads; ++i) {
    all.emplace_back([end] {
      const gc::root<Node> live = build(16);
      while (bench::now_s() < end) {
        live->left = build(10);
        live->right = build(15);
      }
    });
  }
  const runtime::BlockingScope blocked;
  for (std::thread& thread : all) thread.join();
}

// What the detail lines of a trace say, by key.
std::map<std::string, std::vector<double>> read_details(std::FILE* trace) {
  std::map<std::string, std::vector<double>> values;
  std::array<char, 1024> line;
  while (std::fgets(line.data(), line.size(), trace) != nullptr) {
    const char* at = std::strstr(line.data(), " detail: ");
    if (at == nullptr) continue;
    std::array<char, 64> key;
    double value;
    int used;
    for (at += 9; std::sscanf(at, " %63[^=]=%lf%n", key.data(), &value, &used) == 2; at += used)
      values[key.data()].push_back(value);
  }
  for (auto& [key, all] : values) std::sort(all.begin(), all.end());
  return values;
}

void run_load(unsigned threads, bool quick) {
  int ends[2];
  if (pipe(ends) != 0) std::exit(1);
  const std::string argument = fmt::format("--load={}", threads);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    setenv("GCTRACE", "2", 1);
    execl("/proc/self/exe", "handshake-bench", argument.c_str(), quick ? "--quick" : nullptr,
          nullptr);
    _exit(127);
  }
  close(ends[1]);
  std::FILE* const trace = fdopen(ends[0], "r");
  auto details = read_details(trace);
  std::fclose(trace);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) {
    fmt::print(stderr, "handshake-bench: the process with {} threads failed\n", threads);
    std::exit(1);
  }
  fmt::print("{} threads that allocate, {} cycles\n", threads, details["handshakes"].size());
  for (const char* const key : {"max_handshake_us", "max_assist_us", "max_stall_us"}) {
    const std::vector<double>& values = details[key];
    fmt::print("  {:<18} p50 {:>7.0f}  p90 {:>7.0f}  p99 {:>7.0f}  max {:>7.0f} us\n", key,
               bench::percentile(values, 0.5), bench::percentile(values, 0.9),
               bench::percentile(values, 0.99), values.empty() ? 0 : values.back());
    const std::string what(key + 4, std::strlen(key) - 7);  // without max_ and _us
    add_percentiles(fmt::format("{}, {} threads", what, threads), values);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments(argc, argv);
  const bool quick = arguments.has("--quick");
  if (const auto threads = static_cast<unsigned>(arguments.number("--load", 0)); threads != 0) {
    load(threads, quick ? 0.3 : 3);
    return 0;
  }
  // Before the library is in use: these fork.
  for (const unsigned threads : {1u, 2u, 8u}) run_load(threads, quick);
  run_idle(quick);
  if (arguments.has("--json")) figures().print();
}
