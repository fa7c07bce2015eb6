// A whole small program, of which any call may fail: see faults.h. Each step that throws
// std::bad_alloc or std::system_error is tried again. Prints "ok", and "no fault" before it if the
// plan came to nothing.
#include "tests/faults/faults.h"

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
constexpr int kTries = 1000;

std::array<std::atomic<std::uint8_t>, 3 * kDead> g_runs{};  // destructors, finalizers, cleanups

struct Destroyed {
  explicit Destroyed(std::uint32_t n) noexcept : number(n) {}
  ~Destroyed() { ++g_runs[number]; }
  std::uint32_t number;
};

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

bool fork_child(const gc::root<Item>& list) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    const bool good = attempt("child",
                              [] {
                                make_garbage(1u << 20);
                                runtime::collect();
                              }) &&
                      check_list(list.get(), kItems);
    _exit(good ? 0 : 1);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) std::printf("the child ended with status %d\n", status);
  return status == 0;
}

bool run() {
  gc::root<Item> list;
  std::vector<gc::weak<Item>> weak;
  bool good = attempt("list", [&] { list = make_list(kItems); });
  good = good && attempt("weak", [&] {
           weak.clear();
           for (Item* i = list.get(); i != nullptr; i = i->next) weak.emplace_back(i);
         });
  std::uint32_t made = 0;
  good = good && attempt("dead", [&] {
           for (; made < kDead; ++made) {
             const std::uint32_t n = made;
             static_cast<void>(gc::make<Destroyed>(n));
             Item* const watched = gc::make<Item>(n);
             gc::set_finalizer(watched, [n](Item*) { ++g_runs[kDead + n]; });
             Item* const cleaned = gc::make<Item>(n);
             gc::add_cleanup(
                 cleaned, [](std::uint32_t at) { ++g_runs[2 * kDead + at]; }, n);
           }
         });
  good = good && attempt("hook", [] {
           runtime::unregister_pre_mark_hook(runtime::register_pre_mark_hook([] {}));
         });
  alignas(16) static char stack[4096];
  good = good && attempt("stack", [] {
           runtime::register_stack(stack, stack + sizeof stack);
           runtime::unregister_stack(stack);
         });
  good = good && attempt("collect", [] { runtime::collect(); });
  good = good && attempt("threads", [] {
           std::atomic<int> failed{0};
           std::thread thread([&] {
             if (!attempt("thread", [] { make_garbage(1u << 20); })) ++failed;
           });
           thread.join();
           if (failed != 0) throw std::bad_alloc();
         });
  bool pool_good = true;
  good = good && attempt("pool", [&] { pool_good = use_pool(); }) && pool_good;
  good = good && fork_child(list);
  good = good && attempt("limits", [] {
           debug::free_os_memory();
           runtime::MemStats stats;
           runtime::read_mem_stats(stats);
         });
  good = good && attempt("large", [] {
           for (int i = 0; i < 20; ++i) gc::make_array<char>(1 << 20)[12345] = 1;
         });
  good = good && attempt("finalizers", [] {
           runtime::collect();
           runtime::wait_for_finalizers();
         });
  if (good && !check_list(list.get(), kItems)) {
    std::puts("the list is damaged");
    good = false;
  }
  for (std::size_t i = 0; good && i < weak.size(); ++i) {
    const auto item = weak[i].lock();
    good = item != nullptr && item->intact();
    if (!good) std::puts("a weak reference is lost");
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
  for (const auto& runs : g_runs) {
    if (runs > 1) good = false;
    never += runs == 0 ? 1 : 0;
  }
  if (never > g_runs.size() / 10) {
    std::printf("%zu of %zu never ran\n", never, g_runs.size());
    good = false;
  }
  if (none) std::puts("no fault");
  return finish(good);
}
