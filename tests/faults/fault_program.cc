// A whole small program, of which any call may fail: see faults.h. Each step that throws
// std::bad_alloc or std::system_error is tried again, and given up in the end. Prints "ok" if
// nothing was lost or ran twice, and "no fault" before it if the plan came to nothing.
#include "tests/faults/faults.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <new>
#include <system_error>
#include <vector>

#include <tricolor/pool.hpp>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

constexpr std::size_t kItems = 20'000;
constexpr std::uint32_t kDead = 500;
constexpr int kTries = 100;

std::array<std::atomic<std::uint8_t>, 3 * kDead> g_runs{};  // destructors, finalizers, cleanups

struct Destroyed {
  explicit Destroyed(std::uint32_t n) noexcept : number(n) {}
  ~Destroyed() { ++g_runs[number]; }
  std::uint32_t number;
};

bool g_gave_up = false;

// False if it threw to the end.
template <class F>
bool attempt(const char* what, F&& step) {
  for (int i = 0; i < kTries; ++i) {
    try {
      step();
      return true;
    } catch (const std::bad_alloc&) {
    } catch (const std::system_error&) {
    }
  }
  std::printf("%s: threw %d times\n", what, kTries);
  g_gave_up = true;
  return false;
}

bool use_pool() {
  static sync::Pool<Item> pool([] { return gc::make<Item>(7); });
  for (int i = 0; i < 100; ++i) {
    Item* const item = pool.get();
    if (item == nullptr || !item->intact()) return false;
    pool.put(item);
  }
  return true;
}

// The child has what there was of the list, and a heap that works or says why not.
bool fork_child(const gc::root<Item>& list, std::size_t length) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) return true;
  if (child == 0) {
    attempt("child", [] {
      make_garbage(1u << 20);
      runtime::collect();
    });
    std::fflush(stdout);
    _exit(check_list(list.get(), length) ? 0 : 1);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) std::printf("the child ended with status %d\n", status);
  return status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);  // it has said why
}

void make_dead() {
  for (std::uint32_t n = 0; n < kDead && !g_gave_up; ++n) {
    attempt("destructor", [n] { static_cast<void>(gc::make<Destroyed>(n)); });
    attempt("finalizer",
            [n] { gc::set_finalizer(gc::make<Item>(n), [n](Item*) { ++g_runs[kDead + n]; }); });
    attempt("cleanup", [n] {
      gc::add_cleanup(
          gc::make<Item>(n), [](std::uint32_t at) { ++g_runs[2 * kDead + at]; }, n);
    });
  }
}

void use_threads() {
  attempt("threads",
          [] { std::thread([] { attempt("thread", [] { make_garbage(1u << 20); }); }).join(); });
}

void use_the_rest() {
  attempt("hook",
          [] { runtime::unregister_pre_mark_hook(runtime::register_pre_mark_hook([] {})); });
  alignas(16) static char stack[4096];
  attempt("stack", [] {
    runtime::register_stack(stack, stack + sizeof stack);
    runtime::unregister_stack(stack);
  });
  attempt("collect", [] { runtime::collect(); });
  use_threads();
  attempt("limits", [] {
    debug::free_os_memory();
    runtime::MemStats stats;
    runtime::read_mem_stats(stats);
  });
  attempt("large", [] {
    for (int i = 0; i < 20; ++i) gc::make_array<char>(1 << 20)[12345] = 1;
  });
  attempt("finalizers", [] {
    runtime::collect();
    runtime::wait_for_finalizers();
  });
}

bool run() {
  gc::root<Item> list;
  const std::size_t length = attempt("list", [&] { list = make_list(kItems); }) ? kItems : 0;
  std::vector<gc::weak<Item>> weak;
  attempt("room", [&] { weak.reserve(kItems); });
  for (Item* i = list.get(); i != nullptr && !g_gave_up; i = i->next) {
    attempt("weak", [&] { weak.emplace_back(i); });
  }
  make_dead();
  bool good = true;
  attempt("pool", [&] { good = use_pool(); });
  if (!good) std::puts("the pool gave something else");
  use_the_rest();
  good = fork_child(list, length) && good;
  if (!check_list(list.get(), length)) {
    std::puts("the list is damaged");
    good = false;
  }
  for (const gc::weak<Item>& reference : weak) {
    const auto item = reference.lock();
    if (item != nullptr && item->intact()) continue;
    std::puts("a weak reference is lost");
    return false;
  }
  return good;
}

}  // namespace

int main() {
  faults::arm();
  bool good = run();
  const bool none = faults::injected() == 0;
  faults::disarm();
  std::thread([&] {
    for (int i = 0; i < 2; ++i) {
      runtime::collect();
      runtime::wait_for_finalizers();
    }
  }).join();
  std::size_t never = 0;
  std::size_t often = 0;
  for (const auto& runs : g_runs) {
    never += runs == 0 ? 1 : 0;
    often += runs > 1 ? 1 : 0;
  }
  if (often != 0 || (never > g_runs.size() / 10 && !g_gave_up)) {
    std::printf("of %zu destructors, finalizers and cleanups %zu never ran, %zu more than once\n",
                g_runs.size(), never, often);
    good = false;
  }
  if (none) std::puts("no fault");
  return finish(good);
}
