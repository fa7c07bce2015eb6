// Roots and weak references with thread storage duration.
#include "tests/support.hpp"

#include <barrier>

namespace tricolor::tests {
namespace {

thread_local gc::root<Node> local_root;
thread_local std::vector<gc::root<Node>> local_roots;
thread_local gc::weak<Node> local_weak;

TEST_CASE("thread_local: each thread's roots keep their own objects, until the thread ends") {
  constexpr std::size_t kThreads = 8;
  constexpr std::size_t kEach = 200;
  std::array<Census, kThreads> censuses;
  Findings findings;
  std::barrier<> sync(kThreads + 1);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      local_root = gc::make<Node>(t);
      censuses[t].add(local_root.get());
      for (std::size_t i = 0; i < kEach; ++i) {
        local_roots.emplace_back(gc::make<Node>(t * kEach + i));
        censuses[t].add(local_roots.back().get());
      }
      local_weak = local_root.get();
      {
        const runtime::BlockingScope blocking;
        sync.arrive_and_wait();  // all have built
        sync.arrive_and_wait();  // the main thread has collected
      }
      findings.expect(local_root->key == t && local_root->intact(),
                      "a thread_local root lost its object");
      findings.expect(local_weak.lock() == local_root.get(),
                      "a thread_local weak reference was cleared early");
      for (std::size_t i = 0; i < kEach; ++i) {
        findings.expect(local_roots[i]->key == t * kEach + i,
                        "a root in a thread_local vector was lost");
      }
    });
  }
  sync.arrive_and_wait();
  shake();
  for (const Census& census : censuses) CHECK(census.alive() == kEach + 1);
  sync.arrive_and_wait();
  for (std::thread& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  collect_all();
  for (const Census& census : censuses) CHECK(census.reclaimed());
}

struct AtExit {
  ~AtExit() {
    // The thread is on its way out; allocation and references still work.
    if (expected == nullptr) return;
    Node* const node = gc::make<Node>(9);
    churn(300);
    *expected = node->intact() && held->intact() && held->key == 8;
  }
  gc::root<Node> held;
  bool* expected = nullptr;
};
thread_local AtExit at_exit;

TEST_CASE("thread_local: a destructor at thread exit may allocate and use its roots") {
  for (int i = 0; i < 50; ++i) {
    bool good = false;
    std::thread([&] {
      at_exit.expected = &good;
      at_exit.held = gc::make<Node>(8);
      if (i % 2 == 0) churn(100);
    }).join();
    CHECK(good);
    if (i % 10 == 0) runtime::collect();
  }
}

TEST_CASE("thread_local: of the main thread") {
  local_root = gc::make<Node>(1);
  local_root->left = gc::make<Node>(2);
  shake();
  CHECK(local_root->intact());
  CHECK(local_root->left->key == 2);
  local_root = nullptr;
}

TEST_CASE("thread_local: roots given up at the exits of many threads are reused") {
  Findings findings;
  CollectingThread collector;
  for (std::size_t round = 0; round < scaled(100); ++round) {
    on_threads(6, [&](std::size_t t) {
      for (std::size_t i = 0; i < 30; ++i) local_roots.emplace_back(gc::make<Node>(t * 100 + i));
      for (std::size_t i = 0; i < 30; ++i) {
        findings.expect(local_roots[i]->intact() && local_roots[i]->key == t * 100 + i,
                        "a root was mixed up");
      }
    });
  }
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

}  // namespace
}  // namespace tricolor::tests
