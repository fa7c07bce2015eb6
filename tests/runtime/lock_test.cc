#include "runtime/base/lock.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/base/check.h"

using namespace tricolor::runtime;

namespace {

#if TRICOLOR_DEBUG
// Whether `act` aborts; its message is not shown.
template <typename Act>
bool aborts(Act act) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDERR_FILENO);
    act();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
#endif

}  // namespace

TEST_CASE("a lock excludes") {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20000;
  Lock lock;
  long counter = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const std::lock_guard guard(lock);
        ++counter;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(counter == long{kThreads} * kRounds);
  CHECK_FALSE(lock.is_held());
}

TEST_CASE("waiters that went to sleep are all woken") {
  Lock lock;
  std::atomic<int> arrived{0};
  int passed = 0;
  lock.lock();
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      ++arrived;
      const std::lock_guard guard(lock);
      ++passed;
    });
  }
  while (arrived.load() != 3) std::this_thread::yield();
  // Long enough for them to give up spinning; if it is not, the test is weaker but does not fail.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  lock.unlock();
  for (std::thread& thread : threads) thread.join();
  CHECK(passed == 3);
}

TEST_CASE("try_lock takes a free lock and refuses a held one") {
  Lock lock(LockRank::pool);
  CHECK(lock.try_lock());
  bool second = true;
  std::thread([&] { second = lock.try_lock(); }).join();
  CHECK_FALSE(second);
  lock.unlock();
  CHECK(lock.try_lock());
  lock.unlock();
}

TEST_CASE("the rank survives use") {
  Lock lock(LockRank::leaf);
  for (int i = 0; i < 3; ++i) {
    lock.lock();
    CHECK(lock.rank() == LockRank::leaf);
    lock.unlock();
  }
  CHECK(lock.rank() == LockRank::leaf);
  CHECK(Lock().rank() == LockRank::none);
}

#if TRICOLOR_DEBUG
TEST_CASE("[lock.rank] rising ranks pass, in any order of release") {
  Lock outer(LockRank::cycle);
  Lock inner(LockRank::span);
  Lock unchecked;
  outer.lock();
  inner.lock();
  unchecked.lock();
  outer.unlock();
  unchecked.unlock();
  inner.unlock();
  outer.lock();
  outer.unlock();
}

TEST_CASE("[lock.rank] a falling or an equal rank aborts") {
  Lock outer(LockRank::cycle);
  Lock inner(LockRank::span);
  Lock other_inner(LockRank::span);
  CHECK(aborts([&] {
    inner.lock();
    outer.lock();
  }));
  CHECK(aborts([&] {
    inner.lock();
    other_inner.lock();
  }));
}

TEST_CASE("releasing a lock that is not held aborts") {
  Lock lock(LockRank::cycle);
  CHECK(aborts([&] { lock.unlock(); }));
}
#endif

TEST_CASE("an event set before the wait lets one wait pass") {
  Event event;
  CHECK_FALSE(event.wait(0));
  event.set();
  event.set();
  CHECK(event.wait());
  CHECK_FALSE(event.wait(0));
}

TEST_CASE("a wait that nobody answers runs out, and the event works afterwards") {
  Event event;
  CHECK_FALSE(event.wait(1'000'000));
  event.set();
  CHECK(event.wait(1'000'000));
  CHECK_FALSE(event.wait(0));
}

TEST_CASE("an event carries the setter's writes") {
  constexpr int kRounds = 5000;
  Event ping;
  Event pong;
  int value = 0;
  std::thread other([&] {
    for (int round = 0; round < kRounds; ++round) {
      ping.wait();
      ++value;
      pong.set();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    ping.set();
    pong.wait();
    ++value;
  }
  other.join();
  CHECK(value == 2 * kRounds);
}

TEST_CASE("every sleeper on an event gets its set") {
  constexpr int kThreads = 4;
  Event event;
  std::atomic<int> passed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      event.wait();
      ++passed;
    });
  }
  // Long enough for all of them to sleep; if it is not, the test is weaker but does not fail.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  for (int i = 0; i < kThreads; ++i) {
    event.set();
    while (passed.load() != i + 1) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(passed.load() == kThreads);
}

TEST_CASE("futex calls leave errno alone") {
  std::atomic<uint32_t> word{1};
  errno = 4711;
  CHECK(futex::wait(&word, 2));
  CHECK_FALSE(futex::wait(&word, 1, 1000));
  CHECK(futex::wake(&word) == 0);
  CHECK(errno == 4711);
}
