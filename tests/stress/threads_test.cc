// Threads that come and go by the thousand, leaving data behind, while cycles run.
#include "tests/support.hpp"

#include <condition_variable>

namespace tricolor::tests {
namespace {

TEST_CASE("stress threads: short-lived ones leave lists behind that stay whole") {
  const std::size_t waves = stress_rounds(1500);
  constexpr std::size_t kWave = 8;
  std::vector<gc::root<Node>> left_behind(waves * kWave);
  CollectingThread collector(scaled(kLongChain));
  for (std::size_t wave = 0; wave < waves; ++wave) {
    on_threads(kWave, [&](std::size_t t) {
      const std::size_t index = wave * kWave + t;
      Node* list = nullptr;
      for (std::size_t i = 0; i < 50; ++i) {
        Node* const node = gc::make<Node>(index * 50 + i);
        node->left = list;
        list = node;
      }
      left_behind[index] = list;
    });
  }
  collector.stop();
  std::size_t good = 0;
  on_fresh_thread([&] {
    for (std::size_t index = 0; index < left_behind.size(); ++index) {
      std::size_t left = 50;
      for (const Node* node = left_behind[index]; node != nullptr && left > 0; node = node->left) {
        if (!node->intact() || node->key != index * 50 + left - 1) break;
        --left;
      }
      if (left > 0) MESSAGE("list " << index << " is broken before its last " << left << " nodes");
      good += 50 - left;
    }
  });
  CHECK(good == left_behind.size() * 50);
  const auto before = mem_stats().heap_objects;
  on_fresh_thread([&] { left_behind.clear(); });
  collect_all();
  CHECK(mem_stats().heap_objects + good * 9 / 10 <= before);
}

TEST_CASE(
    "stress threads: ones that never allocate, that only store, that only lock, that only "
    "collect") {
  struct Box {
    gc::atomic<Node> a, b;
  };
  gc::root<Box> box = gc::make<Box>();
  gc::root<Node> node = gc::make<Node>(5);
  const gc::weak<Node> weak(node.get());
  box->a.store(node.get());
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  for (std::size_t round = 0; round < stress_rounds(1200); ++round) {
    on_threads(6, [&](std::size_t t) {
      switch (t) {
        case 0:
          break;
        case 1:
          box->b.store(box->a.load());
          break;
        case 2: {
          const gc::weak<Node> copy = weak;
          const Node* const locked = copy.lock();
          findings.expect(locked != nullptr && locked->key == 5, "a held object did not lock");
          break;
        }
        case 3:
          runtime::collect();
          break;
        case 4: {
          const gc::root<Node> copy = box->a.load();
          findings.expect(copy->intact(), "damaged");
          break;
        }
        default: {
          const runtime::ThreadScope scope;
          const Node* const held = box->a.load();
          findings.expect(held->intact(), "damaged");
        }
      }
    });
  }
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

// [thread.list] [handshake.open]
TEST_CASE("stress threads: ones whose first operation is a load keep what they loaded") {
  struct Top {
    gc::atomic<Node> head;
  };
  gc::root<Top> top = gc::make<Top>();
  Findings findings;
  CollectingThread collector(scaled(kLongChain) / 10);
  for (std::size_t round = 0; round < stress_rounds(400); ++round) {
    for (std::size_t i = 0; i < 4; ++i) {
      Node* const node = gc::make<Node>(round * 4 + i);
      node->left = top->head.load();
      top->head.store(node);
    }
    on_threads(4, [&](std::size_t) {
      Top* const shared = top;  // a read of a root: this thread has done nothing else yet
      Node* node = shared->head.load();
      for (;;) {
        if (node == nullptr) return;
        for (int i = 0; i < 20; ++i) std::this_thread::yield();
        if (!node->intact()) {
          findings.expect(false, "a node was reclaimed while its thread held it");
          return;
        }
        if (shared->head.compare_exchange_weak(node, node->left)) return;
      }
    });
  }
  collector.stop();
  CAPTURE(findings.first());
  CHECK(findings.count() == 0);
}

TEST_CASE("stress threads: attached and detached over and over") {
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(4, [&](std::size_t t) {
    gc::root<Node> kept;
    for (std::size_t i = 0; i < stress_rounds(100'000); ++i) {
      const std::uint64_t key = t * 1'000'000 + i;
      {
        const runtime::ThreadScope scope;
        Node* const node = gc::make<Node>(key);
        node->left = kept.get();
        if (node->left != nullptr) {
          findings.expect(node->left->intact() && node->left->key == key - 1,
                          "lost between two scopes");
          node->left = nullptr;
        }
        kept = node;
      }
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

TEST_CASE("stress threads: hundreds alive at once, most of them asleep") {
  const std::size_t count = kSanitized ? 60 : 400;
  std::mutex mutex;
  std::condition_variable wake;
  bool open = false;
  std::atomic<std::size_t> ready{0};
  Findings findings;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      Node* const node = gc::make<Node>(t);
      node->left = gc::make<Node>(t + 1);
      ++ready;
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return open; });
      lock.unlock();
      findings.expect(node->intact() && node->left->intact() && node->left->key == t + 1,
                      "lost in its sleep");
    });
  }
  CHECK(eventually([&] { return ready == count; }));
  shake(5);
  {
    const std::lock_guard lock(mutex);
    open = true;
  }
  wake.notify_all();
  for (auto& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("stress threads: detached ones, which end whenever they like") {
  static std::atomic<std::size_t> ended{0};
  static std::atomic<std::size_t> damaged{0};
  ended = 0;
  const std::size_t count = stress_rounds(15'000);
  for (std::size_t i = 0; i < count; ++i) {
    std::thread([i] {
      Node* const node = gc::make<Node>(i);
      churn(50);
      if (!node->intact()) ++damaged;
      ++ended;
    }).detach();
    if (i % 50 == 0) runtime::collect();
    if (i % 100 == 99) CHECK(eventually([&] { return ended + 20 > i; }));
  }
  CHECK(eventually([&] { return ended == count; }));
  CHECK(damaged == 0);
  runtime::collect();
}

TEST_CASE("stress threads: an ended thread's memory is used by the next") {
  collect_all();
  const auto warm = [&](std::size_t waves) {
    for (std::size_t i = 0; i < waves; ++i) {
      on_threads(4, [](std::size_t) {
        // A few cells of many classes: every thread's cache holds a run of each.
        gc::keep_alive(gc::make<Blob<16>>(1));
        gc::keep_alive(gc::make<Blob<100>>(1));
        gc::keep_alive(gc::make<Blob<500>>(1));
        gc::keep_alive(gc::make<Blob<2000>>(1));
        gc::keep_alive(gc::make<Blob<9000>>(1));
        gc::keep_alive(gc::make<Blob<30000>>(1));
      });
    }
    collect_all();
  };
  warm(50);
  const auto before = mem_stats();
  warm(stress_rounds(2500));
  const auto after = mem_stats();
  // Were one run of cells lost with each thread, it would be hundreds of megabytes.
  CHECK(after.heap_sys <= before.heap_sys + (128u << 20));
  CHECK(after.heap_inuse <= before.heap_inuse + (8u << 20));
}

}  // namespace
}  // namespace tricolor::tests
