// Races with death: weak locks against dropping, interning, resurrection, destroy.
#include "tests/support.hpp"

#include <unordered_map>

namespace tricolor::tests {
namespace {

constexpr std::size_t kThreads = 4;

TEST_CASE("stress weak: locks race with dropping; what lock returns is whole and stays") {
  constexpr std::size_t kSlots = 256;
  struct Slot {
    std::mutex mutex;
    gc::root<Node> strong;
    gc::weak<Node> weak;
  };
  const std::uint64_t seed = announce_seed("weak locks");
  std::vector<Slot> slots(kSlots);
  Findings findings;
  std::atomic<std::uint64_t> locked{0}, missed{0};
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    for (std::size_t i = 0; i < stress_rounds(400'000); ++i) {
      Slot& slot = slots[random.below(kSlots)];
      gc::weak<Node> weak;
      {
        const std::lock_guard lock(slot.mutex);
        switch (random.below(4)) {
          case 0:
            slot.strong = gc::make<Node>(random.next());
            slot.strong->left = gc::make<Node>(slot.strong->key + 1);
            slot.weak = slot.strong.get();
            break;
          case 1:
            slot.strong = nullptr;
            break;
          default:
            weak = slot.weak;
        }
      }
      Node* const node = weak.lock();
      if (node == nullptr) {
        missed.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      locked.fetch_add(1, std::memory_order_relaxed);
      findings.expect(node->intact(), "a locked object was damaged");
      findings.expect(node->left->intact() && node->left->key == node->key + 1,
                      "what a locked object holds was damaged");
      findings.expect(weak.lock() == node, "a second lock of a held object failed");
      if (random.one_in(16)) {
        const std::lock_guard lock(slot.mutex);
        slot.strong = node;  // made strong again
        slot.weak = node;
      }
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(locked > 0);
  CHECK(missed > 0);
  for (Slot& slot : slots) {
    if (slot.strong != nullptr) CHECK(slot.weak.lock() == slot.strong.get());
  }
}

TEST_CASE("stress weak: one weak, locked from all threads while its object comes and goes") {
  Findings findings;
  std::atomic<std::uint64_t> locked{0};
  for (std::size_t round = 0; round < stress_rounds(10) + 1; ++round) {
    gc::weak<Node> weak;
    gc::root<Node> strong;
    on_fresh_thread([&] {
      strong = gc::make<Node>(round);
      weak = strong.get();
    });
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, copy = weak] {
        bool gone = false;
        while (!stop.load(std::memory_order_relaxed)) {
          const Node* const node = copy.lock();
          if (node == nullptr) {
            gone = true;
          } else {
            findings.expect(!gone, "a weak reference came back to life");
            findings.expect(node->intact() && node->key == round, "a locked object was damaged");
            locked.fetch_add(1, std::memory_order_relaxed);
          }
        }
      });
    }
    runtime::collect();
    strong = nullptr;
    for (int i = 0; i < 3; ++i) runtime::collect();
    stop = true;
    for (auto& thread : threads) thread.join();
  }
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(locked > 0);
}

TEST_CASE("stress weak: an interning table finds one object per key or none") {
  struct Interner {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, gc::weak<Node>> table;
    Node* get(std::uint64_t key) {
      const std::lock_guard lock(mutex);
      gc::weak<Node>& entry = table[key];
      Node* node = entry.lock();
      if (node == nullptr) {
        node = gc::make<Node>(key);
        entry = node;
      }
      return node;
    }
  };
  const std::uint64_t seed = announce_seed("interner");
  Interner interner;
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    std::array<gc::root<Node>, 16> kept;
    for (std::size_t i = 0; i < stress_rounds(4'000'000); ++i) {
      const std::uint64_t key = random.below(400);
      Node* const node = interner.get(key);
      findings.expect(node->intact() && node->key == key, "the interner returned a wrong object");
      findings.expect(interner.get(key) == node, "two live objects have one key");
      kept[random.below(16)] = node;
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

struct Phoenix {
  static void rise(Node* node) {
    if (!node->intact() || !node->left->intact() || node->left->key != node->key)
      damaged.fetch_add(1);
    risen.fetch_add(1);
    const std::lock_guard lock(mutex);
    nest.emplace_back(node);
  }
  static inline std::mutex mutex;
  static inline std::vector<gc::root<Node>> nest;
  static inline std::atomic<std::uint64_t> risen{0}, damaged{0};
};

// [finalizer.roots]
TEST_CASE("stress weak: finalizers that resurrect, again and again") {
  constexpr std::size_t kBirds = 500;
  on_fresh_thread([] {
    for (std::size_t i = 0; i < kBirds; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = gc::make<Node>(i);
      gc::set_finalizer(node, &Phoenix::rise);
    }
  });
  for (std::size_t round = 0; round < stress_rounds(1500) + 3; ++round) {
    runtime::collect();
    churn(500);
    on_fresh_thread([] {
      std::vector<gc::root<Node>> risen;
      {
        const std::lock_guard lock(Phoenix::mutex);
        risen.swap(Phoenix::nest);
      }
      for (gc::root<Node>& bird : risen) gc::set_finalizer(bird.get(), &Phoenix::rise);
    });
  }
  CHECK(Phoenix::damaged == 0);
  CHECK(Phoenix::risen >= 2 * kBirds);
  runtime::wait_for_finalizers();
  const std::lock_guard lock(Phoenix::mutex);
  Phoenix::nest.clear();
}

TEST_CASE("stress weak: destroy races with locks and with cycles") {
  std::atomic<std::int64_t> balance{0};
  struct Counted {
    explicit Counted(std::atomic<std::int64_t>* c) : count(c) { ++*count; }
    ~Counted() {
      --*count;
      alive = 0;
    }
    std::atomic<std::int64_t>* count;
    std::uint64_t alive = 0x600d;
  };
  const std::uint64_t seed = announce_seed("destroy");
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    std::vector<gc::root<Counted>> live;
    for (std::size_t i = 0; i < stress_rounds(600'000); ++i) {
      switch (random.below(4)) {
        case 0:
        case 1:
          live.emplace_back(gc::make<Counted>(&balance));
          break;
        case 2:
          if (!live.empty()) {
            std::swap(live[random.below(live.size())], live.back());
            gc::weak<Counted> weak(live.back().get());
            Counted* const object = live.back();
            live.pop_back();
            findings.expect(object->alive == 0x600d,
                            "an object was destroyed while a root held it");
            gc::destroy(object);
            findings.expect(weak.lock() == nullptr, "a destroyed object was locked");
          }
          break;
        default:
          if (!live.empty()) {
            std::swap(live[random.below(live.size())], live.back());
            live.pop_back();  // left to the collector
          }
      }
      if (live.size() > 1000) live.resize(500);
      if (!live.empty())
        findings.expect(live[random.below(live.size())]->alive == 0x600d,
                        "a live object was destroyed");
    }
  });
  collector.stop();
  collect_all();
  collect_all();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(balance >= 0);
  CHECK(balance <=
        50);  // stale references on stacks; once per object, or it would be below 0 or far above
}

}  // namespace
}  // namespace tricolor::tests
