// runtime::register_stack: references on fibers' stacks, whether the fibers run or not.
#include "tests/fiber.hpp"

#include <memory>
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
