// Allocates known amounts at known places and writes profiles of it.
//
//   totals HEAP ALLOCS    keeps a part, drops a part, writes both; prints heap_alloc and total_alloc
//   work MILLISECONDS     allocates and computes for so long, in a function of its own, under a label
//   cpu PATH              a CPU profile of that
//   errors DIRECTORY      writes where nothing can be written, and goes on
//   fork PREFIX           writes in the parent and in its child, allocating in both
//   lifetimes PATH        short-lived, middling and long-lived objects, and the report
//   timeline PATH         a timeline that is not stopped; 3, and why, where it cannot be started
//   threads               prints debug::threads() of threads at known places
//   dump                  a thread that waits; prints "ready", ends at end of input

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <tricolor/debug.hpp>
#include <tricolor/prelude.hpp>

namespace {

struct Kept {
  gc::ptr<Kept> next;
  char bytes[200] = {};
};
struct Dropped {
  gc::ptr<Dropped> next;
  long values[5] = {};
};
struct Ended {
  explicit Ended(int k) : key(k) {}
  ~Ended() { key = -1; }
  int key;
};

gc::root<Kept> g_kept;

[[gnu::noinline]] void make_kept(int count) {
  for (int i = 0; i < count; ++i) {
    auto* const kept = gc::make<Kept>();
    kept->next = g_kept;
    g_kept = kept;
  }
}
[[gnu::noinline]] void make_dropped(int count) {
  const debug::label label("request", "drop");
  for (int i = 0; i < count; ++i) gc::keep_alive(gc::make<Dropped>());
}
[[gnu::noinline]] void make_arrays(int count) {
  for (int i = 0; i < count; ++i) gc::keep_alive(gc::make_array<double>(20'000));
}
[[gnu::noinline]] void make_destroyed(int count) {
  for (int i = 0; i < count; ++i) gc::destroy(gc::make<Ended>(i));
}

void make_all() {
  make_kept(100'000);
  make_dropped(1'000'000);
  make_arrays(300);
  make_destroyed(300'000);
}

int totals(const std::string& heap, const std::string& allocs) {
  std::thread(make_all).join();
  make_all();
  runtime::collect();
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  const bool written = debug::write_heap_profile(heap) && debug::write_alloc_profile(allocs);
  std::printf("%llu %llu\n", static_cast<unsigned long long>(stats.heap_alloc),
              static_cast<unsigned long long>(stats.total_alloc));
  return written ? 0 : 1;
}

[[gnu::noinline]] double compute(int milliseconds) {
  const debug::label label("phase", "computing");
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  volatile double sum = 0;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 1; i < 20'000; ++i) sum = sum + 1.0 / i;
  }
  return sum;
}

int errors(const std::string& directory) {
  make_all();
  int written = 0;
  for (const std::string& path :
       {directory + "/no/such/directory/profile", directory, std::string("/dev/full")}) {
    written += debug::write_heap_profile(path) ? 1 : 0;
    written += debug::write_alloc_profile(path) ? 1 : 0;
    written += debug::lifetime_report(path) ? 1 : 0;
    written += debug::write_cpu_profile(path, std::chrono::milliseconds(20)) ? 1 : 0;
  }
  written += debug::stop_cpu_profile(directory + "/none") ? 1 : 0;
  make_all();
  runtime::collect();
  std::printf("%d written, and it goes on\n", written);
  return 0;
}

int forked(const std::string& prefix) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) make_dropped(1000);
  });
  int failures = 0;
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      make_all();
      runtime::collect();
      _exit(debug::write_heap_profile(prefix + "child") ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) ++failures;
  }
  stop = true;
  busy.join();
  runtime::collect();
  if (!debug::write_heap_profile(prefix + "parent")) ++failures;
  std::printf("%d failures\n", failures);
  return failures;
}

[[gnu::noinline]] gc::ptr<Dropped> give(int) { return gc::make<Dropped>(); }
[[gnu::noinline]] void use_and_leave(int count) {
  for (int i = 0; i < count; ++i) gc::keep_alive(gc::make<std::array<double, 16>>());
}
[[gnu::noinline]] void hand_out(std::vector<gc::root<Dropped>>& row, int count) {
  for (int i = 0; i < count; ++i) row[static_cast<std::size_t>(i) % row.size()] = give(i).get();
}

int lifetimes(const std::string& path) {
  std::vector<gc::root<Dropped>> row(40'000);
  for (int cycle = 0; cycle < 6; ++cycle) {
    use_and_leave(200'000);
    hand_out(row, 60'000);
    make_kept(20'000);
    runtime::collect();
  }
  return debug::lifetime_report(path) ? 0 : 1;
}

std::mutex g_mutex;
std::condition_variable g_condition;
bool g_go_on = false;
std::atomic<int> g_there{0};

[[gnu::noinline]] void wait_here() {
  std::unique_lock lock(g_mutex);
  g_there.fetch_add(1);
  g_condition.wait(lock, [] { return g_go_on; });
}
[[gnu::noinline]] void spin_here() {
  g_there.fetch_add(1);
  for (;;) {
    for (int i = 0; i < 1000; ++i) asm volatile("");
    const std::lock_guard guard(g_mutex);
    if (g_go_on) return;
  }
}
[[gnu::noinline]] void block_here() {
  const runtime::BlockingScope scope;
  wait_here();
}

void let_go(std::vector<std::thread>& threads) {
  {
    const std::lock_guard guard(g_mutex);
    g_go_on = true;
  }
  g_condition.notify_all();
  for (std::thread& thread : threads) thread.join();
}

std::vector<std::thread> start_threads() {
  std::vector<std::thread> threads;
  for (void (*const what)() : {wait_here, spin_here, block_here}) {
    threads.emplace_back([what] {
      runtime::attach_thread();
      pthread_setname_np(pthread_self(), what == spin_here ? "spinner" : "waiter");
      what();
    });
  }
  while (g_there.load() < 3) std::this_thread::yield();
  return threads;
}

[[gnu::noinline]] int show_threads() {
  runtime::attach_thread();
  std::vector<std::thread> threads = start_threads();
  for (const debug::ThreadInfo& info : debug::threads()) {
    std::printf("thread %d|%s|%s|%s\n", info.id, info.name.c_str(), info.state.c_str(),
                info.waits_for.c_str());
    for (const debug::StackFrame& frame : info.stack)
      std::printf("  %s %s:%d\n", frame.function.c_str(), frame.file.c_str(), frame.line);
  }
  let_go(threads);
  return 0;
}

int dump() {
  runtime::attach_thread();
  std::vector<std::thread> threads = start_threads();
  std::puts("ready");
  std::fflush(nullptr);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  let_go(threads);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const std::string first = argc > 2 ? argv[2] : "";
  if (mode == "totals" && argc > 3) return totals(first, argv[3]);
  if (mode == "work") {
    make_all();
    compute(std::atoi(first.c_str()));
    return 0;
  }
  if (mode == "cpu") {
    std::thread other(compute, 600);
    const bool started = debug::start_cpu_profile();
    compute(400);
    const bool second = debug::start_cpu_profile();
    other.join();
    return started && !second && debug::stop_cpu_profile(first) ? 0 : 1;
  }
  if (mode == "errors") return errors(first);
  if (mode == "timeline") {
    try {
      debug::start_timeline(first);
    } catch (const std::logic_error& error) {
      std::puts(error.what());
      return 3;
    }
    runtime::collect();
    make_dropped(10'000);
    return 0;
  }
  if (mode == "fork") return forked(first);
  if (mode == "lifetimes") return lifetimes(first);
  if (mode == "threads") return show_threads();
  if (mode == "dump") return dump();
  std::fputs("usage: profile_program MODE ...\n", stderr);
  return 2;
}
