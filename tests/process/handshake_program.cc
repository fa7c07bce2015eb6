// Threads that are hard to reach, or that others get in the way of.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "tests/process/program_support.hpp"

namespace tricolor::tests {
namespace {

constexpr std::size_t kLength = 500;

std::atomic<bool> g_stop{false};
std::atomic<int> g_foreign_calls{0};

void mask_all() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

// A thread that can only be reached by a signal, with a list that nothing but its stack holds.
class Computing {
 public:
  explicit Computing(void (*before)() = nullptr)
      : thread_([this, before] {
          Item* const list = make_list(kLength);
          if (before != nullptr) before();
          ready_ = true;
          while (!g_stop.load(std::memory_order_relaxed)) asm volatile("");
          good_ = check_list(list, kLength);
        }) {
    while (!ready_) usleep(100);
  }
  bool finish() {
    g_stop = true;
    thread_.join();
    return good_;
  }

 private:
  std::atomic<bool> ready_{false};
  bool good_ = false;
  std::thread thread_;
};

void collect_many() {
  for (int i = 0; i < 30; ++i) {
    make_garbage(1 << 20);
    runtime::collect();
  }
}

// No room for a record of a pending signal: the kernel delivers it without saying who sent it.
bool run_without_pending_signals() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_SIGPENDING, &none);
  Computing computing;
  collect_many();
  return computing.finish();
}

// Another library puts its handler in place of ours and does not pass the signal on.
bool run_replaced_handler() {
  Computing computing;
  runtime::collect();
  struct sigaction theirs {};
  theirs.sa_handler = [](int) { ++g_foreign_calls; };
  sigaction(SIGURG, &theirs, nullptr);
  collect_many();
  const bool good = computing.finish();
  g_foreign_calls = 0;
  raise(SIGURG);
  std::printf("foreign calls %d\n", g_foreign_calls.load());
  return good && g_foreign_calls == 1;
}

// Sends SIGURG to a thread that is asked all the time. A shared one may be merged with ours while
// that is pending: it is sent again until the handler has seen it.
bool run_with_handler_before(bool shared) {
  struct sigaction theirs {};
  theirs.sa_handler = [](int) { ++g_foreign_calls; };
  sigaction(SIGURG, &theirs, nullptr);
  static std::atomic<int> tid{0};
  Computing computing([] { tid = static_cast<int>(syscall(SYS_gettid)); });
  collect_many();
  const int ours = g_foreign_calls;
  std::atomic<bool> stop{false};
  std::thread collecting([&] {
    while (!stop) runtime::collect();
  });
  constexpr int kSent = 200;
  for (int i = 0; i < kSent; ++i) {
    const int before = g_foreign_calls;
    syscall(SYS_tgkill, getpid(), tid.load(), SIGURG);
    for (int waits = 1; g_foreign_calls == before; ++waits) {
      usleep(100);
      if (shared && waits % 10 == 0) syscall(SYS_tgkill, getpid(), tid.load(), SIGURG);
    }
  }
  stop = true;
  collecting.join();
  std::printf("calls for ours %d, for others %d\n", ours, g_foreign_calls - ours);
  return computing.finish() && ours == 0 &&
         (shared ? g_foreign_calls >= kSent : g_foreign_calls == kSent);
}

// [signal.merged] A handler from before ours gets every signal of others, and none of ours.
bool run_handler_before() { return run_with_handler_before(false); }
bool run_shared() { return run_with_handler_before(true); }

// Signals cannot be queued, and SIGURG belongs to another.
bool run_shared_without_pending_signals() {
  struct sigaction theirs {};
  theirs.sa_handler = [](int) { ++g_foreign_calls; };
  sigaction(SIGURG, &theirs, nullptr);
  return run_without_pending_signals();
}

// Handlers run on the alternate stack; the references lie on the thread's own.
bool run_alternate_stack() {
  Computing computing([] {
    // AddressSanitizer has one of its own, which it looks for at the thread's end.
    struct Before {
      ~Before() { sigaltstack(&stack, nullptr); }
      stack_t stack{};
    };
    static thread_local Before before;
    static std::vector<char> memory(64 << 10);
    stack_t stack{};
    stack.ss_sp = memory.data();
    stack.ss_size = memory.size();
    sigaltstack(&stack, &before.stack);
  });
  collect_many();
  return computing.finish();
}

// Masked signals, fork and exec in several threads, as a library that starts processes does it;
// beside them threads that allocate with all signals masked.
bool run_masked_forks() {
  std::atomic<int> forks{0};
  std::atomic<bool> good{true};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([] {
      (void)gc::make<Item>(1);
      mask_all();
      while (!g_stop) (void)gc::make<Item>(2);
    });
  }
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      Item* const list = make_list(kLength);
      while (forks < 300) {
        sigset_t before;
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        const pid_t child = fork();
        if (child == 0) {
          pthread_sigmask(SIG_SETMASK, &before, nullptr);
          execl("/bin/true", "true", nullptr);
          _exit(7);
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) good = false;
        ++forks;
      }
      if (!check_list(list, kLength)) good = false;
    });
  }
  for (std::size_t t = 2; t < threads.size(); ++t) threads[t].join();
  g_stop = true;
  threads[0].join();
  threads[1].join();
  std::printf("forks %d\n", forks.load());
  return good;
}

// A thread that cannot answer: asleep, with all signals masked. The heap must not run away
// meanwhile.
bool sleep_masked(unsigned microseconds) {
  std::atomic<bool> asleep{false};
  std::thread sleeper([&] {
    Item* const list = make_list(kLength);
    pthread_setname_np(pthread_self(), "sleeper");
    mask_all();
    asleep = true;
    usleep(microseconds);
    if (!check_list(list, kLength)) std::abort();
  });
  while (!asleep) usleep(100);
  usleep(20'000);
  std::thread busy([] {
    while (!g_stop) make_garbage(1 << 16);
  });
  usleep(1'000'000);
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  std::printf("heap %llu KiB\n", static_cast<unsigned long long>(stats.heap_alloc >> 10));
  sleeper.join();
  runtime::collect();
  g_stop = true;
  busy.join();
  return stats.heap_alloc < std::size_t{64} << 20;
}

bool run_stuck() { return sleep_masked(1'500'000); }
bool run_stuck_long() { return sleep_masked(5'000'000); }

// A thread that the last round of key destructors attaches again ends without leaving the list.
bool run_ended_unseen() {
  static pthread_key_t key;
  static std::atomic<int> rounds{0};
  pthread_key_create(&key, [](void* value) {
    ++rounds;
    (void)gc::make<Item>(7);
    pthread_setspecific(key, value);  // until the system has had enough of it
  });
  for (int i = 0; i < 20; ++i) {
    std::thread([] {
      (void)gc::make<Item>(1);
      pthread_setspecific(key, &rounds);
    }).join();
  }
  Computing computing;
  collect_many();
  std::printf("rounds %d\n", rounds.load());
  return computing.finish() && rounds >= 80;
}

// Far more threads than processors.
bool run_crowd() {
  std::atomic<bool> good{true};
  std::vector<std::thread> threads;
  for (int t = 0; t < 100; ++t) {
    threads.emplace_back([&] {
      Item* const list = make_list(kLength);
      make_garbage(4 << 20);
      if (!check_list(list, kLength)) good = false;
    });
  }
  for (std::thread& thread : threads) thread.join();
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  std::printf("cycles %u, heap %llu KiB\n", stats.num_gc,
              static_cast<unsigned long long>(stats.heap_sys >> 10));
  return good;
}

struct Mode {
  const char* name;
  bool (*run)();
};
constexpr Mode kModes[] = {
    {"no-pending", run_without_pending_signals},
    {"replaced", run_replaced_handler},
    {"handler-before", run_handler_before},
    {"shared", run_shared},
    {"no-pending-shared", run_shared_without_pending_signals},
    {"alternate-stack", run_alternate_stack},
    {"masked-forks", run_masked_forks},
    {"stuck", run_stuck},
    {"stuck-long", run_stuck_long},
    {"ended-unseen", run_ended_unseen},
    {"crowd", run_crowd},
};

}  // namespace
}  // namespace tricolor::tests

int main(int argc, char** argv) {
  using namespace tricolor::tests;
  const std::string wanted = argc > 1 ? argv[1] : "";
  for (const Mode& mode : kModes) {
    if (wanted == mode.name) return finish(mode.run());
  }
  std::fputs("usage: handshake_program MODE\n", stderr);
  return 2;
}
