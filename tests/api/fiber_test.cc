// runtime::register_stack: references on fibers' stacks, whether the fibers run or not.
#include "tests/fiber.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <stdexcept>

namespace tricolor::tests {
namespace {

TEST_CASE("fiber: a suspended one's references are roots") {
  constexpr std::size_t kFibers = 20;
  Census census;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::size_t good = 0;
  for (std::size_t i = 0; i < kFibers; ++i) {
    fibers.push_back(std::make_unique<Fiber>([&, i](Fiber& self) {
      Node* const node = gc::make<Node>(i);
      node->left = gc::make<Node>(i + 1);
      census.add(node);
      self.suspend();
      good += node->intact() && node->left->intact() && node->left->key == i + 1 ? 1 : 0;
      self.suspend();
      good += node->intact() ? 1 : 0;
    }));
  }
  for (auto& fiber : fibers) CHECK(fiber->resume());
  shake();
  CHECK(census.alive() == kFibers);
  for (auto& fiber : fibers) CHECK(fiber->resume());
  shake();
  for (auto& fiber : fibers) CHECK(!fiber->resume());
  CHECK(good == 2 * kFibers);
}

TEST_CASE("fiber: what it held goes once its stack is unregistered") {
  constexpr std::size_t kFibers = 40;
  Census census;
  std::vector<std::unique_ptr<Fiber>> fibers;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kFibers; ++i) {
      fibers.push_back(std::make_unique<Fiber>([&](Fiber& self) {
        Node* const node = gc::make<Node>(1);
        census.add(node);
        self.suspend();
        gc::keep_alive(node);
      }));
      fibers.back()->resume();
    }
  });
  collect_all();
  CHECK(census.alive() == kFibers);
  fibers.clear();
  collect_all();
  CHECK(census.reclaimed());
}

// [stacks.whole]
TEST_CASE("fiber: while one runs and collects, the thread's own stack is scanned too") {
  Node* const outside = gc::make<Node>(50);
  outside->left = gc::make<Node>(51);
  bool inside_good = false;
  Fiber fiber([&](Fiber& self) {
    Node* const inside = gc::make<Node>(60);
    inside->left = gc::make<Node>(61);
    shake();
    self.suspend();
    shake();
    inside_good = inside->intact() && inside->left->intact();
  });
  CHECK(fiber.resume());
  CHECK(outside->intact());
  CHECK(outside->left->intact());
  shake();
  CHECK(!fiber.resume());
  CHECK(inside_good);
  CHECK(outside->intact());
  CHECK(outside->left->key == 51);
}

TEST_CASE("fiber: another thread collects while one runs without allocating") {
  Node* const outside = gc::make<Node>(70);
  std::atomic<int> phase{0};
  bool inside_good = false;
  Fiber fiber([&](Fiber&) {
    Node* const inside = gc::make<Node>(80);
    phase = 1;
    while (phase != 2) {
    }
    inside_good = inside->intact() && inside->key == 80;
  });
  std::thread collector([&] {
    while (phase != 1) std::this_thread::yield();
    shake();
    phase = 2;
  });
  CHECK(!fiber.resume());
  collector.join();
  CHECK(inside_good);
  CHECK(outside->intact());
}

TEST_CASE("fiber: moved from thread to thread") {
  int good = 0;
  Fiber fiber([&](Fiber& self) {
    for (std::uint64_t i = 0; i < 20; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = gc::make<Node>(i + 1);
      self.suspend();
      good += node->intact() && node->left->key == i + 1 ? 1 : 0;
    }
  });
  bool more = true;
  while (more) {
    on_fresh_thread([&] { more = fiber.resume(); });
    if (more) {
      runtime::collect();
      churn(3000);
    }
  }
  CHECK(good == 20);
}

// [stacks.fibers]
TEST_CASE("fiber: many at once, switched in turn while cycles run back to back") {
  constexpr std::size_t kFibers = 30;
  const std::size_t rounds = scaled(400);
  std::size_t bad = 0;
  std::vector<std::unique_ptr<Fiber>> fibers;
  for (std::size_t i = 0; i < kFibers; ++i) {
    fibers.push_back(std::make_unique<Fiber>([&, i](Fiber& self) {
      Node* held = gc::make<Node>(i);
      for (std::size_t round = 0; round < rounds; ++round) {
        Node* const next = gc::make<Node>(round);
        next->left = held;
        self.suspend();
        if (!next->intact() || next->key != round || !next->left->intact()) ++bad;
        held = next;
        held->left = nullptr;
      }
    }));
  }
  {
    CollectingThread collector;
    bool more = true;
    while (more) {
      more = false;
      for (auto& fiber : fibers) more |= fiber->resume();
    }
    collector.stop();
    CHECK(collector.cycles() > 0);
  }
  CHECK(bad == 0);
}

// Overwrites what a call that returned has left below the caller's frame.
__attribute__((noinline)) void scrub() {
  volatile std::uintptr_t words[1024];
  for (auto& word : words) word = 0;
}

__attribute__((noinline)) Node* watched_node(Census& census, std::uint64_t key) {
  Node* const node = gc::make<Node>(key);
  node->left = gc::make<Node>(key + 1);
  census.add(node);
  return node;
}

// Frames of its own around the constructor, which are gone while the caller waits.
class Waiting {
 public:
  __attribute__((noinline)) void begin() { scope_.emplace(); }
  __attribute__((noinline)) void end() { scope_.reset(); }

 private:
  std::optional<runtime::BlockingScope> scope_;
};

void wait_for_cycles(const CollectingThread& collector) {
  const std::uint64_t from = collector.cycles();
  while (collector.cycles() < from + 2) std::this_thread::yield();
}

// The reference lies in a callee-saved register, which the functions that block push and reuse.
TEST_CASE("fiber: a register of one that is blocked is a root, through a wrapper too") {
  constexpr std::uint64_t kRounds = 20;
  Census census;
  std::size_t bad = 0;
  {
    CollectingThread collector;
    Fiber fiber([&](Fiber&) {
      for (std::uint64_t i = 0; i < kRounds; ++i) {
        Node* const node = watched_node(census, i);
        scrub();
        {
          const runtime::BlockingScope scope;
          scrub();
          wait_for_cycles(collector);
        }
        if (!node->intact() || !node->left->intact() || node->left->key != i + 1) ++bad;
        Waiting waiting;
        waiting.begin();
        scrub();
        wait_for_cycles(collector);
        waiting.end();
        if (!node->intact() || !node->left->intact() || node->left->key != i + 1) ++bad;
      }
    });
    CHECK(!fiber.resume());
  }
  CHECK(census.size() == kRounds);
  CHECK(bad == 0);
}

const CollectingThread* g_signal_collector = nullptr;
std::atomic<std::size_t> g_signal_bad{0};

__attribute__((noinline)) void block_far_below(const CollectingThread& collector) {
  volatile char space[128 * 1024];
  space[0] = 0;
  const runtime::BlockingScope scope;
  scrub();
  wait_for_cycles(collector);
  space[1] = space[0];
}

void on_signal_stack(int) {
  Node* volatile node = gc::make<Node>(7);
  node->left = gc::make<Node>(8);
  block_far_below(*g_signal_collector);
  if (!node->intact() || !node->left->intact() || node->left->key != 8) ++g_signal_bad;
}

// The collector answers for the blocked thread, and has another signal stack or none.
TEST_CASE("blocked on a signal stack: all of that stack is scanned") {
  CollectingThread collector;
  g_signal_collector = &collector;
  std::thread([] {
    runtime::attach_thread();  // no handler may
    std::vector<char> memory(512 * 1024);
    stack_t stack{};
    stack.ss_sp = memory.data();
    stack.ss_size = memory.size();
    REQUIRE(sigaltstack(&stack, nullptr) == 0);
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = on_signal_stack;
    action.sa_flags = SA_ONSTACK;
    REQUIRE(sigaction(SIGUSR2, &action, &before) == 0);
    for (int i = 0; i < 20; ++i) raise(SIGUSR2);
    sigaction(SIGUSR2, &before, nullptr);
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, nullptr);
  }).join();
  collector.stop();
  CHECK(g_signal_bad == 0);
}

#if !TRICOLOR_TSAN
TEST_CASE("fiber: a blocked one that goes on on another thread ends the program with a message") {
  int out[2];
  REQUIRE(pipe(out) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(out[1], 2);
    ::signal(SIGABRT, SIG_DFL);
    Fiber fiber([](Fiber& self) {
      const runtime::BlockingScope scope;
      self.suspend();
    });
    std::atomic<bool> suspended{false};
    std::thread first([&] {
      runtime::attach_thread();
      fiber.resume();
      suspended = true;
      for (;;) pause();
    });
    while (!suspended) std::this_thread::yield();
    runtime::attach_thread();
    fiber.resume();
    _exit(0);
  }
  close(out[1]);
  std::string text;
  char part[256];
  for (ssize_t n; (n = read(out[0], part, sizeof(part))) > 0;)
    text.append(part, static_cast<std::size_t>(n));
  close(out[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CAPTURE(text);
  CHECK(WIFSIGNALED(status));
  CHECK(text.find("BlockingScope left on another thread") != std::string::npos);
}
#endif

TEST_CASE("register_stack: refuses an empty, a reversed and an unaligned range") {
  alignas(16) char memory[256];
  CHECK_THROWS_AS(runtime::register_stack(memory, memory), std::invalid_argument);
  CHECK_THROWS_AS(runtime::register_stack(memory + 128, memory), std::invalid_argument);
  CHECK_THROWS_AS(runtime::register_stack(memory + 1, memory + 128), std::invalid_argument);
  CHECK_THROWS_AS(runtime::register_stack(memory, memory + 127), std::invalid_argument);
}

TEST_CASE("register_stack: registered and unregistered many times") {
  std::vector<std::uintptr_t> memory(4096);
  for (int i = 0; i < 1000; ++i) {
    runtime::register_stack(memory.data(), memory.data() + memory.size());
    if (i % 50 == 0) runtime::collect();
    runtime::unregister_stack(memory.data());
  }
  Census census;
  runtime::register_stack(memory.data(), memory.data() + memory.size());
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < memory.size(); ++i) {
      Node* const node = gc::make<Node>(i);
      memory[i] = reinterpret_cast<std::uintptr_t>(node);
      census.add(node);
    }
  });
  shake(1);
  CHECK(census.alive() == memory.size());
  runtime::unregister_stack(memory.data());
  collect_all();
  CHECK(census.reclaimed());
}

}  // namespace
}  // namespace tricolor::tests
