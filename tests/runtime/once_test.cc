#include "runtime/base/once.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace tricolor::runtime;

namespace {

std::atomic<int> g_runs{0};
std::atomic<bool> g_inside{false};
std::atomic<bool> g_go_on{false};

// Starts nothing: counts the runs, and fails in the first `g_failures`.
std::atomic<int> g_failures{0};
void fail_at_first() {
  if (++g_runs <= g_failures) throw std::runtime_error("not yet");
}

}  // namespace

// [once.restart]
TEST_CASE("once: what has thrown is run again by the next caller, what has returned is not") {
  Once once;
  g_runs = 0;
  g_failures = 2;
  CHECK_THROWS_AS(once.run(fail_at_first), std::runtime_error);
  CHECK_THROWS_AS(once.run(fail_at_first), std::runtime_error);
  once.run(fail_at_first);
  once.run(fail_at_first);
  CHECK(g_runs == 3);
}

// [once.restart]
TEST_CASE("once: of many threads one runs it, and nobody goes on before it has returned") {
  for (int round = 0; round < 200; ++round) {
    Once once;
    g_runs = 0;
    g_failures = round % 3;
    std::atomic<int> threw{0};
    std::atomic<int> early{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        try {
          once.run(fail_at_first);
          if (g_runs != g_failures + 1) ++early;
        } catch (const std::runtime_error&) {
          ++threw;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(threw == g_failures);
    CHECK(early == 0);
    CHECK(g_runs == g_failures + 1);
  }
}

TEST_CASE("once: a run that leads back to itself is refused and goes on") {
  static Once once;
  static bool refused;
  refused = false;
  once.run([] {
    try {
      once.run([] {});
    } catch (const std::bad_alloc&) {
      refused = true;
    }
  });
  CHECK(refused);
}

TEST_CASE("once: who takes it keeps others from it, and gives it back undone") {
  static Once once;
  CHECK(once.take() == Once::Turn::kTaken);
  CHECK(once.take() == Once::Turn::kWithin);
  static std::atomic<bool> runs;
  runs = false;
  std::thread runner([] { once.run([] { runs = true; }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(!runs);
  once.give_back();
  runner.join();
  CHECK(runs);
  CHECK(once.take() == Once::Turn::kDone);
}

// [once.restart]
TEST_CASE("once: what fork() has cut off is run again in the child") {
  static Once once;
  g_inside = false;
  g_go_on = false;
  std::thread runner([] {
    once.run([] {
      g_inside = true;
      while (!g_go_on) std::this_thread::yield();
    });
  });
  while (!g_inside) std::this_thread::yield();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);  // it would wait for a thread that is not there
    static int runs = 0;
    once.run([] { ++runs; });
    _exit(runs == 1 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  g_go_on = true;
  runner.join();
}
