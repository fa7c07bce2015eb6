// A program whose threads the system may refuse: pthread_create is this file's, and says EAGAIN
// while `g_refuse` is set. Prints "ok" when everything went on.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/process/program_support.hpp"

namespace {
std::atomic<bool> g_refuse{false};
std::atomic<int> g_refused{0};
std::atomic<int> g_started{0};
}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) noexcept {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (g_refuse) {
    ++g_refused;
    return EAGAIN;
  }
  ++g_started;
  return create(thread, attributes, run, argument);
}

namespace tricolor::tests {
namespace {

std::atomic<int> g_destroyed{0};

struct Counted {
  ~Counted() { ++g_destroyed; }
  std::uint64_t content = 1;
};

std::uint32_t cycles() {
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  return stats.num_gc;
}

// The cells below are on nobody's stack when it returns.
__attribute__((noinline)) void make_counted(int count) {
  for (int i = 0; i < count; ++i) static_cast<void>(gc::make<Counted>());
}

bool fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  return false;
}

// Lives off cycles that run on this thread: live data stays, dead data goes, finalizers run.
bool live_on() {
  constexpr std::size_t kLength = 20'000;
  gc::root<Item> list = make_list(kLength);
  Item* const local = make_list(100);
  gc::weak<Item> weak = make_list(1);
  const std::uint32_t before = cycles();
  make_garbage(64u << 20);
  if (cycles() == before) return fail("64 MiB of garbage started no cycle");
  runtime::collect();
  runtime::collect();
  if (!check_list(list.get(), kLength)) return fail("what a root leads to was damaged");
  if (!check_list(local, 100)) return fail("what a local leads to was damaged");
  const int destroyed = g_destroyed;
  make_counted(1000);
  runtime::collect();
  runtime::wait_for_finalizers();
  runtime::collect();
  runtime::wait_for_finalizers();
  if (g_destroyed < destroyed + 900) return fail("destructors did not run");
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  if (stats.heap_alloc > (32u << 20)) return fail("garbage stays");
  return true;
}

// From the first use on, or from some time on.
bool refused_from_start() {
  return (g_refuse = true, live_on()) && g_refused > 0 && g_started == 0;
}

bool refused_later() {
  if (!live_on()) return false;
  g_refuse = true;
  return live_on();
}

// Threads of the program want cycles while there is no other to run them.
bool several_threads() {
  std::atomic<bool> stop{false};
  std::atomic<int> damaged{0};
  std::atomic<int> rounds{0};
  std::vector<std::thread> threads;
  g_refuse = true;
  static_cast<void>(gc::make<Item>(1));
  g_refuse = false;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      gc::root<Item> list;
      while (!stop) {
        list = make_list(300);
        Item* const local = make_list(50);
        if (i % 2 == 0) make_garbage(200'000);
        if (i == 1) runtime::collect();
        if (i == 3) runtime::wait_for_finalizers();
        make_counted(5);
        if (!check_list(list.get(), 300) || !check_list(local, 50)) ++damaged;
        ++rounds;
      }
    });
  }
  g_refuse = true;
  for (int i = 0; i < 40; ++i) {
    runtime::collect();
    // Once in a while helpers may be had.
    if (i == 30) g_refuse = false;
  }
  while (rounds < 200) usleep(1000);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return damaged == 0 || fail("a list was damaged");
}

// What was refused is asked for again.
bool had_again() {
  g_refuse = true;
  if (!live_on()) return false;
  g_refuse = false;
  for (int i = 0; g_started == 0; ++i) {
    if (i == 10'000) return fail("helpers were never asked for again");
    runtime::collect();
    usleep(1000);
  }
  return live_on();
}

bool child_is_well(bool (*body)()) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A child starts no thread before it needs one, and needs none to go on.
bool children() {
  if (!live_on()) return false;
  if (!child_is_well([] {
        g_started = 0;
        make_garbage(1000);
        return g_started == 0 || fail("a child that collects nothing has started a thread");
      })) {
    return false;
  }
  if (!child_is_well([] {
        g_refuse = true;
        return live_on();
      })) {
    return false;
  }
  return child_is_well([] {
    g_started = 0;
    return live_on() && (g_started > 0 || fail("no helper was started"));
  });
}

// Hooks run on the thread that collects; those of the program not inside an allocation.
bool hooks() {
  g_refuse = true;
  static std::atomic<int> ran{0};
  static bool allocating = false;
  static std::atomic<int> wrong{0};
  runtime::register_pre_mark_hook([] {
    ++ran;
    if (allocating) ++wrong;
    static_cast<void>(gc::make<Item>(3));
  });
  allocating = true;
  make_garbage(64u << 20);
  allocating = false;
  if (wrong != 0) return fail("a hook ran inside an allocation");
  runtime::collect();
  return ran == 1 || fail("collect() ran no hook");
}

}  // namespace
}  // namespace tricolor::tests

int main(int argc, char** argv) {
  using namespace tricolor::tests;
  const char* const how = argc > 1 ? argv[1] : "";
  const struct {
    const char* name;
    bool (*run)();
  } modes[] = {{"start", refused_from_start}, {"later", refused_later},
               {"threads", several_threads},  {"again", had_again},
               {"children", children},        {"hooks", hooks}};
  for (const auto& mode : modes) {
    if (std::strcmp(how, mode.name) == 0) return finish(mode.run());
  }
  return 2;
}
