// Signals of the program's own, by the thousand, during cycles: handlers, alternate stacks, blocked
// signals.
#include "tests/support.hpp"

#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <memory>

namespace tricolor::tests {
namespace {

std::atomic<std::uint64_t> handled{0};

void count_signal(int) { handled.fetch_add(1, std::memory_order_relaxed); }

// A handler for one scope.
class Handler {
 public:
  Handler(int number, void (*function)(int), int flags = SA_RESTART) : number_(number) {
    struct sigaction action {};
    action.sa_handler = function;
    action.sa_flags = flags;
    sigaction(number, &action, &previous_);
  }
  ~Handler() { sigaction(number_, &previous_, nullptr); }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

 private:
  int number_;
  struct sigaction previous_ {};
};

class IntervalTimer {
 public:
  explicit IntervalTimer(int which, int microseconds) : which_(which) { set(microseconds); }
  ~IntervalTimer() { set(0); }
  IntervalTimer(const IntervalTimer&) = delete;
  IntervalTimer& operator=(const IntervalTimer&) = delete;

 private:
  void set(int microseconds) {
    const itimerval value{{0, microseconds}, {0, microseconds}};
    setitimer(which_, &value, nullptr);
  }
  int which_;
};

void work(std::uint64_t seed, std::size_t rounds, Findings& findings) {
  struct Slots {
    std::array<gc::ptr<Node>, 128> slot;
  };
  Random random(seed);
  gc::root<Slots> slots = gc::make<Slots>();
  for (std::size_t i = 0; i < rounds; ++i) {
    auto& slot = slots->slot[random.below(128)];
    if (slot != nullptr) {
      findings.expect(slot->intact(), "a node was damaged");
      if (slot->left != nullptr)
        findings.expect(slot->left->intact(), "a node behind it was damaged");
    }
    Node* const fresh = gc::make<Node>(random.next());
    fresh->left = slots->slot[random.below(128)];
    if (fresh->left != nullptr) fresh->left->left = nullptr;
    slot = fresh;
  }
}

TEST_CASE("stress signals: timers interrupt mutators and collector alike") {
  const std::uint64_t seed = announce_seed("timers");
  handled = 0;
  Findings findings;
  {
    const Handler on_alarm(SIGALRM, &count_signal);
    const Handler on_profile(SIGPROF, &count_signal);
    const IntervalTimer wall(ITIMER_REAL, 200);
    const IntervalTimer cpu(ITIMER_PROF, 1000);
    CollectingThread collector;
    on_threads(4, [&](std::size_t t) { work(seed + t, stress_rounds(3'000'000), findings); });
    collector.stop();
    CHECK(collector.cycles() > 0);
  }
  CHECK(handled > 0);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

// [lock.signal] [thread.depth]
TEST_CASE("stress signals: sent to every mutator from another thread") {
  const std::uint64_t seed = announce_seed("sent signals");
  handled = 0;
  Findings findings;
  const Handler on_user(SIGUSR2, &count_signal);
  std::atomic<bool> stop{false};
  std::vector<std::thread> mutators;
  for (std::size_t t = 0; t < 4; ++t) {
    mutators.emplace_back([&, t] { work(seed + t, stress_rounds(4'000'000), findings); });
  }
  std::thread sender([&] {
    while (!stop) {
      for (auto& mutator : mutators) pthread_kill(mutator.native_handle(), SIGUSR2);
      usleep(100);
    }
  });
  {
    CollectingThread collector;
    CHECK(eventually([&] { return collector.cycles() >= stress_rounds(500); }));
  }
  stop = true;
  sender.join();
  for (auto& mutator : mutators) mutator.join();
  CHECK(handled > 0);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

// Spins in the handler, on the alternate stack, so that cycles find the thread there.
void linger(int) {
  handled.fetch_add(1, std::memory_order_relaxed);
  spin(20'000);
}

TEST_CASE(
    "stress signals: a thread met in a handler on an alternate stack keeps what its own stack "
    "holds") {
  handled = 0;
  Findings findings;
  const Handler on_user(SIGUSR2, &linger, SA_RESTART | SA_ONSTACK);
  std::atomic<bool> stop{false};
  std::thread thread([&] {
    const auto memory = std::make_unique<std::array<char, 256 * 1024>>();
    stack_t alternate{};
    alternate.ss_sp = memory->data();
    alternate.ss_size = memory->size();
    if (sigaltstack(&alternate, nullptr) != 0) findings.expect(false, "sigaltstack failed");
    while (!stop) {
      Node* const held = gc::make<Node>(5);
      held->left = gc::make<Node>(6);
      for (int i = 0; i < 20 && !stop; ++i) {
        pthread_kill(pthread_self(), SIGUSR2);
        findings.expect(held->intact() && held->left->intact(),
                        "lost during a handler on an alternate stack");
      }
    }
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, nullptr);
  });
  {
    CollectingThread collector;
    std::size_t churned = 0;
    CHECK(eventually([&] {
      churn(300);
      return ++churned >= 20 && collector.cycles() >= stress_rounds(300);
    }));
  }
  stop = true;
  thread.join();
  CHECK(handled > 0);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("stress signals: threads with all signals blocked take part as long as they allocate") {
  const std::uint64_t seed = announce_seed("blocked signals");
  Findings findings;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, nullptr);
      while (!stop) work(seed + t, 10'000, findings);
    });
  }
  {
    CollectingThread collector;
    CHECK(eventually([&] { return collector.cycles() >= stress_rounds(60); }));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("stress signals: SIGURG of the program's own does no harm") {
  const std::uint64_t seed = announce_seed("SIGURG");
  Findings findings;
  std::atomic<bool> stop{false};
  std::vector<std::thread> mutators;
  for (std::size_t t = 0; t < 3; ++t) {
    mutators.emplace_back([&, t] { work(seed + t, stress_rounds(4'000'000), findings); });
  }
  std::thread sender([&] {
    while (!stop) {
      for (auto& mutator : mutators) pthread_kill(mutator.native_handle(), SIGURG);
      kill(getpid(), SIGURG);
      usleep(200);
    }
  });
  for (std::size_t i = 0; i < stress_rounds(500); ++i) runtime::collect();
  stop = true;
  sender.join();
  for (auto& mutator : mutators) mutator.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

}  // namespace
}  // namespace tricolor::tests
