// Roots captured by lambdas, functions, futures and shared state; exceptions with roots in flight;
// unwinding.
#include "tests/support.hpp"

#include <any>
#include <csetjmp>
#include <future>
#include <memory>
#include <stdexcept>

namespace tricolor::tests {
namespace {

TEST_CASE("callables: lambdas and std::function keep what they capture, and let it go") {
  constexpr std::size_t kCount = 300;
  std::vector<std::function<bool()>> functions;
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      gc::root<Node> node = gc::make<Node>(i);
      census.add(node.get());
      std::function<bool()> function = [node, i, padding = std::array<int, 20>{}] {
        return node->intact() && node->key == i && padding[3] == 0;
      };
      functions.push_back(function);             // a copy
      functions.push_back(std::move(function));  // and the original
    }
  });
  shake();
  CHECK(census.alive() == kCount);
  for (const auto& function : functions) CHECK(function());
  on_fresh_thread([&] { functions.clear(); });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("callables: std::any and std::shared_ptr") {
  std::vector<std::any> anys;
  std::vector<std::shared_ptr<gc::root<Node>>> shared;
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 300; ++i) {
      anys.emplace_back(gc::root<Node>(gc::make<Node>(i)));
      census.add(std::any_cast<gc::root<Node>&>(anys.back()).get());
      shared.push_back(std::make_shared<gc::root<Node>>(gc::make<Node>(i)));
      census.add(shared.back()->get());
    }
  });
  shake();
  CHECK(census.alive() == 600);
  for (std::size_t i = 0; i < 300; ++i) {
    CHECK(std::any_cast<gc::root<Node>&>(anys[i])->key == i);
    CHECK((*shared[i])->intact());
  }
  on_fresh_thread([&] {
    anys.clear();
    shared.clear();
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("callables: a root handed to a thread by value") {
  std::vector<std::thread> threads;
  Findings findings;
  for (std::size_t i = 0; i < 20; ++i) {
    threads.emplace_back([&findings, i, node = gc::root<Node>(gc::make<Node>(i))] {
      churn(200);
      findings.expect(node->intact() && node->key == i, "lost on the way to a thread");
    });
    if (i % 5 == 0) runtime::collect();
  }
  for (auto& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("callables: promises, futures, packaged tasks and async") {
  std::vector<std::future<gc::root<Node>>> futures;
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 100; ++i) {
      std::promise<gc::root<Node>> promise;
      futures.push_back(promise.get_future());
      Node* const node = gc::make<Node>(i);
      census.add(node);
      promise.set_value(node);
    }
  });
  shake();
  CHECK(census.alive() == 100);
  for (std::size_t i = 0; i < 100; ++i) {
    const gc::root<Node> node = futures[i].get();
    CHECK(node->intact());
    CHECK(node->key == i);
  }
  std::future<gc::root<Node>> computed = std::async(std::launch::async, [] {
    gc::root<Node> node = gc::make<Node>(1000);
    churn(2000);
    return node;
  });
  runtime::collect();
  CHECK(computed.get()->key == 1000);
  std::packaged_task<gc::root<Node>(int)> task(
      [](int key) { return gc::root<Node>(gc::make<Node>(static_cast<std::uint64_t>(key))); });
  auto result = task.get_future();
  std::thread(std::move(task), 77).join();
  shake(1);
  CHECK(result.get()->key == 77);
}

struct Carrier : std::runtime_error {
  explicit Carrier(Node* n) : std::runtime_error("carrier"), node(n) {}
  gc::root<Node> node;
};

TEST_CASE("exceptions: a root in flight keeps its object while frames unwind and collect") {
  struct Collects {
    ~Collects() {
      runtime::collect();
      churn(500);
    }
  };
  const auto thrower = [](auto& self, int depth) -> void {
    const Collects on_the_way;
    if (depth == 0) {
      Node* const node = gc::make<Node>(12);
      node->left = gc::make<Node>(13);
      throw Carrier(node);
    }
    self(self, depth - 1);
  };
  for (int i = 0; i < 5; ++i) {
    try {
      thrower(thrower, 5);
      FAIL("nothing was thrown");
    } catch (const Carrier& carrier) {
      CHECK(carrier.node->intact());
      CHECK(carrier.node->left->key == 13);
    }
  }
}

TEST_CASE("exceptions: kept in an exception_ptr, rethrown on another thread") {
  std::exception_ptr stored;
  Census census;
  on_fresh_thread([&] {
    try {
      Node* const node = gc::make<Node>(21);
      census.add(node);
      throw Carrier(node);
    } catch (...) {
      stored = std::current_exception();
    }
  });
  shake();
  CHECK(census.alive() == 1);
  on_fresh_thread([&] {
    try {
      std::rethrow_exception(stored);
    } catch (const Carrier& carrier) {
      CHECK(carrier.node->key == 21);
    }
    stored = nullptr;
  });
  collect_all();
  CHECK(census.alive() == 0);
}

TEST_CASE("exceptions: thrown and caught by the thousand while cycles run") {
  CollectingThread collector;
  std::size_t caught = 0;
  const std::size_t rounds = scaled(20'000);
  for (std::size_t i = 0; i < rounds; ++i) {
    Node* const held = gc::make<Node>(i);
    try {
      Node* const inner = gc::make<Node>(i + 1);
      inner->left = held;
      throw Carrier(inner);
    } catch (const std::runtime_error& error) {
      const auto& carrier = static_cast<const Carrier&>(error);
      REQUIRE(carrier.node->intact());
      REQUIRE(carrier.node->left == held);
      ++caught;
    }
    REQUIRE(held->key == i);
  }
  CHECK(caught == rounds);
}

[[gnu::noinline]] void jump(std::jmp_buf& buffer, int depth) {
  volatile char frame[512];
  frame[0] = static_cast<char>(depth);
  if (depth < 0) return;
  if (depth == 0) std::longjmp(buffer, 1);
  jump(buffer, depth - 1);
  frame[1] = frame[0];
}

TEST_CASE("unwinding: longjmp over frames, with references held outside") {
  Node* volatile held = gc::make<Node>(5);
  volatile int rounds = 0;
  std::jmp_buf buffer;
  if (setjmp(buffer) != 0) rounds = rounds + 1;
  if (rounds < 20) {
    runtime::collect();
    churn(200);
    jump(buffer, 30);
  }
  Node* const node = held;
  CHECK(node->intact());
  CHECK(rounds == 20);
}

}  // namespace
}  // namespace tricolor::tests
