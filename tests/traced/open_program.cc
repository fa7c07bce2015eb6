// What happens as a process opens, and while threads cannot answer. Prints "ok" when that went
// well.
//
//     open_program late     traced memory appears in the middle of cycles, again and again in forked children
//     open_program masked   a thread keeps all signals from itself and waits for a lock whose holder is stopped
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string_view>
#include <thread>

#include "tests/process/program_support.hpp"

#include <tricolor/traced.hpp>

namespace {

using namespace tricolor::tests;

// References change hands through traced memory that was not there when the cycle began.
int open_late(int delay) {
  std::atomic<bool> stop{false};
  std::thread collecting([&] {
    gc::root<Item> list = make_list(3000);
    while (!stop) runtime::collect();
  });
  gc::root<Item> some = gc::make<Item>(1);
  for (int i = 0; i < delay; ++i) asm volatile("");
  std::mutex lock;
  gc::traced::vector<Item*> places(16);
  std::atomic<int> wrong{0};
  const auto work = [&](std::uint64_t seed) {
    for (int i = 0; i < 30'000; ++i) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      Item* mine = nullptr;
      {
        const std::lock_guard guard(lock);
        std::swap(mine, places[seed >> 60]);
      }
      if (mine != nullptr && !mine->intact()) ++wrong;
      if (mine == nullptr || i % 4 == 0) mine = gc::make<Item>(seed);
      const std::lock_guard guard(lock);
      places[seed >> 56 & 15] = mine;
    }
  };
  std::thread other(work, 1);
  work(2);
  other.join();
  stop = true;
  collecting.join();
  return wrong == 0 ? 0 : 1;
}

int late() {
  for (int i = 0; i < 12; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(open_late(i * 300'000));
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) return status;
  }
  return 0;
}

int masked() {
  gc::traced::vector<Item*> list(1000, gc::make<Item>(1));
  std::mutex lock;
  std::atomic<int> waiting{0};
  std::atomic<bool> release{false};
  std::thread holder([&] {
    gc::root<Item> item = gc::make<Item>(2);
    const std::lock_guard guard(lock);
    ++waiting;
    while (!release) gc::keep_alive(item->intact());
  });
  while (waiting != 1) std::this_thread::yield();
  std::thread deaf([&] {
    runtime::attach_thread();
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    ++waiting;
    const std::lock_guard guard(lock);
    gc::keep_alive(gc::make<Item>(3));
  });
  while (waiting != 2) std::this_thread::yield();
  std::thread later([&] {
    usleep(400'000);  // the first stops are in vain
    release = true;
  });
  runtime::collect();
  later.join();
  holder.join();
  deaf.join();
  return list.back()->intact() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const int result = mode == "late" ? late() : mode == "masked" ? masked() : 1;
  if (result == 0) std::puts("ok");
  return result;
}
