// Threads that are cancelled while they are inside the library, and threads with the smallest stack
// there is. Prints "ok" when all of them went as they should.
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <system_error>
#include <vector>

#include "tests/process/program_support.hpp"

namespace tricolor::tests {
namespace {

struct Counted {
  ~Counted() { ++destroyed; }
  std::uint64_t content = 1;
  static inline std::atomic<int> destroyed{0};
};

bool fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  return false;
}

// Gives what the thread ended with.
void* run_thread(void* (*body)(void*), void* argument, std::size_t stack) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack != 0 && pthread_attr_setstacksize(&attributes, stack) != 0) std::abort();
  pthread_t thread;
  if (pthread_create(&thread, &attributes, body, argument) != 0) std::abort();
  pthread_attr_destroy(&attributes);
  void* result = nullptr;
  pthread_join(thread, &result);
  return result;
}

// A little of everything that a thread may ask of the library.
__attribute__((noinline)) void use_everything() {
  gc::root<Item> root = make_list(50);
  Item* const local = gc::make<Item>(1);
  local->next = root.get();
  gc::weak<Item> weak = local;
  if (weak.lock() != local) std::abort();
  static_cast<void>(gc::make<Counted>());
  static_cast<void>(gc::make_array<std::uint64_t>(20'000));
  gc::set_finalizer(gc::make<Item>(2), [](Item*) {});
  gc::destroy(gc::make<Counted>());
  static sync::Pool<Item> pool({.new_fn = [] { return gc::make<Item>(4); }});
  pool.put(pool.get());
  runtime::collect();
  runtime::wait_for_finalizers();
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  { const runtime::BlockingScope blocked; }
  if (!check_list(root.get(), 50)) std::abort();
}

// The first use of the library is by a thread that is being cancelled.
bool cancelled_before() {
  const auto body = [](void*) -> void* {
    pthread_cancel(pthread_self());
    for (int i = 0; i < 3; ++i) use_everything();
    pthread_testcancel();
    return nullptr;
  };
  if (run_thread(body, nullptr, 0) != PTHREAD_CANCELED) return fail("the thread was not cancelled");
  use_everything();
  return true;
}

struct Looping {
  std::atomic<std::uint64_t> rounds{0};
};

// At any moment; cycles go on, and with them whatever the threads held is given back.
bool cancelled_anywhere() {
  for (int round = 0; round < 20; ++round) {
    std::vector<pthread_t> threads(4);
    std::vector<Looping> looping(threads.size());
    for (std::size_t i = 0; i < threads.size(); ++i) {
      const auto body = [](void* raw) -> void* {
        auto& mine = *static_cast<Looping*>(raw);
        for (;;) {
          use_everything();
          ++mine.rounds;
          pthread_testcancel();
        }
      };
      if (pthread_create(&threads[i], nullptr, body, &looping[i]) != 0) std::abort();
    }
    for (std::size_t i = 0; i < threads.size(); ++i) {
      while (looping[i].rounds <= i) sched_yield();
      usleep(static_cast<useconds_t>(100 * round));
      pthread_cancel(threads[i]);
    }
    for (const pthread_t thread : threads) {
      void* result = nullptr;
      pthread_join(thread, &result);
      if (result != PTHREAD_CANCELED) return fail("a thread was not cancelled");
    }
  }
  // A thread that had not left the list would keep this from ending.
  use_everything();
  runtime::collect();
  return Counted::destroyed > 0 || fail("no destructor has run");
}

bool smallest_stack() {
  const auto body = [](void*) -> void* {
    use_everything();
    for (int i = 0; i < 1000; ++i) static_cast<void>(gc::make<Item>(1));
    return reinterpret_cast<void*>(1);
  };
  const auto bytes = static_cast<std::size_t>(sysconf(_SC_THREAD_STACK_MIN));
  for (int i = 0; i < 3; ++i) {
    if (run_thread(body, nullptr, bytes) == nullptr) return fail("the thread did not end");
  }
  return true;
}

// Asked for its stack again and again while it runs outside of the library.
bool smallest_stack_interrupted() {
  static std::atomic<bool> stop{false};
  std::thread collecting([] {
    for (int i = 0; i < 200; ++i) runtime::collect();
    stop = true;
  });
  const auto body = [](void*) -> void* {
    Item* const local = make_list(100);
    while (!stop) {
      if (!check_list(local, 100)) return nullptr;
    }
    return reinterpret_cast<void*>(1);
  };
  const auto bytes = static_cast<std::size_t>(sysconf(_SC_THREAD_STACK_MIN));
  const bool good = run_thread(body, nullptr, bytes) != nullptr;
  collecting.join();
  return good || fail("the list was damaged");
}

// For want of room, and says so.
__attribute__((noinline)) bool attaching_is_refused() {
  try {
    runtime::attach_thread();
  } catch (const std::system_error& error) {
    return std::strstr(error.what(), "handshake") != nullptr;
  }
  return false;
}

// Leaves `bytes` of the stack that begins at `lo` below its frame.
__attribute__((noinline)) bool is_refused_at(const char* lo, std::size_t bytes) {
  const char* const frame = static_cast<const char*>(__builtin_frame_address(0));
  volatile auto* const used =
      static_cast<char*>(__builtin_alloca(static_cast<std::size_t>(frame - lo) - bytes));
  used[0] = 1;
  return attaching_is_refused() && used[0] == 1;
}

// [signal.room] A thread with too little of its stack left is told so, and attaches higher up.
bool stack_used_up() {
  use_everything();
  constexpr std::size_t kGuard = 64 << 10;
  constexpr std::size_t kStack = 64 << 10;
  void* const memory =
      mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuard, PROT_NONE) != 0) std::abort();
  static char* lo = nullptr;
  lo = static_cast<char*>(memory) + kGuard;
  const auto body = [](void*) -> void* {
    const bool good =
        is_refused_at(lo, getauxval(AT_MINSIGSTKSZ) + 1000) && !is_refused_at(lo, 16 << 10);
    use_everything();
    return reinterpret_cast<void*>(good);
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (pthread_attr_setstack(&attributes, lo, kStack) != 0) std::abort();
  pthread_t thread;
  if (pthread_create(&thread, &attributes, body, nullptr) != 0) std::abort();
  void* good = nullptr;
  pthread_join(thread, &good);
  runtime::collect();
  return good != nullptr || fail("not refused, or refused where there was room");
}

// [signal.room] The same for a signal stack.
bool small_signal_stack() {
  use_everything();
  bool good = false;
  std::thread([&good] {
    alignas(16) static char memory[64 << 10];
    stack_t small{};
    small.ss_sp = memory;
    small.ss_size = getauxval(AT_MINSIGSTKSZ) + 256;
    if (sigaltstack(&small, nullptr) != 0) std::abort();
    good = attaching_is_refused();
    small.ss_size = sizeof memory;
    if (sigaltstack(&small, nullptr) != 0) std::abort();
    good = good && !attaching_is_refused();
    use_everything();
    small.ss_flags = SS_DISABLE;
    sigaltstack(&small, nullptr);
  }).join();
  runtime::collect();
  return good || fail("not refused, or refused where there was room");
}

}  // namespace
}  // namespace tricolor::tests

int main(int argc, char** argv) {
  using namespace tricolor::tests;
  const struct {
    const char* name;
    bool (*run)();
  } modes[] = {{"cancelled", cancelled_before}, {"anywhere", cancelled_anywhere},
               {"small", smallest_stack},       {"interrupted", smallest_stack_interrupted},
               {"used-up", stack_used_up},      {"signal-stack", small_signal_stack}};
  for (const auto& mode : modes) {
    if (argc > 1 && std::strcmp(argv[1], mode.name) == 0) return finish(mode.run());
  }
  return 2;
}
