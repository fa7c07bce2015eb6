// Pools among threads: values stay whole, thieves and owners share, threads and pools come and go.
#include "tests/pool/pool_support.hpp"

#include <set>

namespace tricolor::tests {
namespace {

// Objects are filled with the taker's mark, checked, and emptied before they go back.
void use(sync::Pool<Item>& pool, std::uint64_t mark, std::size_t pairs, Findings& findings) {
  for (std::size_t i = 0; i < pairs; ++i) {
    Item* const item = pool.get();
    findings.expect(item->intact() && item->key == 0, "an object came out in use or damaged");
    item->set(mark + i);
    if (i % 64 == 0) std::this_thread::yield();
    findings.expect(item->intact() && item->key == mark + i, "an object was used by two");
    item->set(0);
    pool.put(item);
  }
}

// [pool.lock] [slot.handover]
TEST_CASE("threads: ten of them put and get a million times each with the value intact") {
  sync::Pool<Item> pool([] { return gc::make<Item>(0); });
  Findings findings;
  const std::size_t pairs = scaled(1'000'000);
  on_threads(10, [&](std::size_t t) { use(pool, (t + 1) << 40, pairs, findings); });
  INFO(findings.first());
  CHECK(findings.count() == 0);
  CHECK(pool.stats().gets() == 10 * pairs);
}

TEST_CASE("threads: the same while collections run back to back") {
  sync::Pool<Item> pool([] { return gc::make<Item>(0); });
  Findings findings;
  {
    CollectingThread collector;
    on_threads(4, [&](std::size_t t) { use(pool, (t + 1) << 40, scaled(500'000), findings); });
    CHECK(eventually([&] { return collector.cycles() > 2; }));
  }
  INFO(findings.first());
  CHECK(findings.count() == 0);
}

TEST_CASE("threads: the same through a pool with reset, whose paths are not inlined") {
  sync::Pool<Item> pool(
      {.new_fn = [] { return gc::make<Item>(0); }, .reset = [](Item& item) { item.set(0); }});
  Findings findings;
  {
    CollectingThread collector;
    on_threads(4, [&](std::size_t t) { use(pool, (t + 1) << 40, scaled(200'000), findings); });
  }
  INFO(findings.first());
  CHECK(findings.count() == 0);
}

TEST_CASE("threads: a get that races with the hook loses nothing and duplicates nothing") {
  constexpr std::uint64_t kItems = 64;
  const int rounds = static_cast<int>(scaled(300));
  for (int round = 0; round < rounds; ++round) {
    sync::Pool<Item> pool;
    std::array<std::atomic<int>, kItems> seen{};
    std::atomic<int> ready{0};
    const Cycles cycles;
    std::uint64_t before = 0;
    std::thread producer([&] {
      before = cycles.started();
      for (std::uint64_t i = 0; i < kItems; ++i) pool.put(gc::make<Item>(i));
      ready = 1;
      while (ready < 3) std::this_thread::yield();
      while (const Item* const item = pool.get()) ++seen[item->key];
    });
    std::thread thief([&] {
      while (ready < 1) std::this_thread::yield();
      ++ready;
      while (const Item* const item = pool.get()) ++seen[item->key];
    });
    while (ready < 2) std::this_thread::yield();
    ++ready;
    runtime::collect();
    thief.join();
    producer.join();
    // What a rotation moved while they looked is among the victims now, and nowhere else.
    std::uint64_t left = 0;
    std::thread([&] {
      while (const Item* const item = pool.get()) {
        ++seen[item->key];
        ++left;
      }
    }).join();
    const bool once = cycles.started() - before <= 1;
    int found = 0;
    for (const std::atomic<int>& count : seen) {
      CHECK(count <= 1);
      found += count;
    }
    // All but the private one, which may be left to a slot that nobody came back to.
    if (once) CHECK(found + 1 >= static_cast<int>(kItems));
  }
}

TEST_CASE("threads: objects leave the pool of one thread for another") {
  const GcPercent off(-1);
  sync::Pool<Item> pool;
  std::atomic<bool> done{false}, put{false};
  std::thread owner([&] {
    for (std::uint64_t i = 0; i < 1000; ++i) pool.put(gc::make<Item>(i));
    put = true;
    while (!done) std::this_thread::yield();
  });
  while (!put) std::this_thread::yield();
  std::set<std::uint64_t> keys;
  while (const Item* const item = pool.get()) keys.insert(item->key);
  done = true;
  owner.join();
  if (!debug_setting("gcstress=")) CHECK(keys.size() == 999);  // the private one is its owner's
}

TEST_CASE("threads: thousands that come and go leave what they put to the next") {
  const GcPercent off(-1);
  sync::Pool<Item> pool([] { return gc::make<Item>(0); });
  const std::size_t count = scaled(4000);
  Findings findings;
  for (std::size_t i = 0; i < count; i += 4) {
    on_threads(4, [&](std::size_t t) { use(pool, (i + t + 1) << 32, 20, findings); });
  }
  INFO(findings.first());
  CHECK(findings.count() == 0);
  // Four at a time: a handful of objects serves them all.
  if (!debug_setting("gcstress=")) CHECK(pool.stats().misses <= 64);
}

TEST_CASE("threads: they come and go while collections run back to back") {
  sync::Pool<Item> pool([] { return gc::make<Item>(0); });
  Findings findings;
  CollectingThread collector;
  for (std::size_t i = 0; i < scaled(800); i += 4) {
    on_threads(4, [&](std::size_t t) { use(pool, (i + t + 1) << 32, 200, findings); });
  }
  collector.stop();
  INFO(findings.first());
  CHECK(findings.count() == 0);
}

TEST_CASE("threads: a pool is used from the destructor of a thread_local") {
  static sync::Pool<Item> pool([] { return gc::make<Item>(0); });
  struct AtExit {
    ~AtExit() {
      for (int i = 0; i < 10; ++i) pool.put(pool.get());
    }
  };
  for (int i = 0; i < 20; ++i) {
    std::thread([] {
      thread_local AtExit at_exit;
      gc::keep_alive(&at_exit);
      pool.put(pool.get());
    }).join();
  }
  CHECK(pool.stats().gets() == 20 * 11);
}

// [pool.attached]
TEST_CASE("threads: a get behind a ThreadScope attaches the thread before it takes anything") {
  static sync::Pool<Item> pool([] { return gc::make<Item>(3); });
  bool detached = false, attached = false;
  std::thread([&] {
    {
      const runtime::ThreadScope scope;
      pool.put(pool.get());
    }
    detached = gc::detail::tls.thread == nullptr;
    const Item* const item = pool.get();
    attached = gc::detail::tls.thread != nullptr;
    gc::keep_alive(item);
  }).join();
  CHECK(detached);
  CHECK(attached);
}

TEST_CASE("threads: a pool is used before and after a ThreadScope") {
  static sync::Pool<Item> pool([] { return gc::make<Item>(3); });
  Findings findings;
  std::thread([&findings] {
    for (int i = 0; i < 50; ++i) {
      {
        const runtime::ThreadScope scope;
        pool.put(pool.get());
      }
      Item* const item = pool.get();
      runtime::collect();
      churn(1000);
      findings.expect(item->intact() && item->key == 3,
                      "an object taken by a detached thread was lost");
      pool.put(item);
    }
  }).join();
  CHECK(findings.count() == 0);
}

TEST_CASE("threads: pools made per request, on several threads, while collections run") {
  Findings findings;
  CollectingThread collector;
  on_threads(4, [&](std::size_t t) {
    for (std::size_t i = 0; i < scaled(10'000); ++i) {
      sync::Pool<Item> pool([] { return gc::make<Item>(0); });
      for (std::uint64_t k = 1; k <= 3; ++k) {
        Item* const a = pool.get();
        Item* const b = pool.get();
        findings.expect(a != b && a->intact() && b->intact(), "one object was given twice");
        a->set(t);
        b->set(i);
        pool.put(a);
        pool.put(b);
      }
    }
  });
  collector.stop();
  INFO(findings.first());
  CHECK(findings.count() == 0);
}

TEST_CASE("threads: the memory of pools made per request is reclaimed") {
  const auto make_pools = [] {
    on_fresh_thread([] {
      for (std::size_t i = 0; i < scaled(20'000); ++i) {
        sync::Pool<Item> pool;
        pool.put(gc::make<Item>(i));
      }
    });
    runtime::collect();
    runtime::collect();
  };
  make_pools();
  const std::uint64_t before = mem_stats().heap_objects;
  for (int i = 0; i < 5; ++i) make_pools();
  CHECK(mem_stats().heap_objects <= before + scaled(20'000) / 10 + 1000);
}

TEST_CASE("threads: thousands of pools at once, each with its own objects") {
  const GcPercent off(-1);
  constexpr std::size_t kPools = 3000;
  std::vector<std::unique_ptr<sync::Pool<Item>>> pools;
  for (std::size_t i = 0; i < kPools; ++i) pools.push_back(std::make_unique<sync::Pool<Item>>());
  on_threads(4, [&](std::size_t t) {
    for (std::size_t i = 0; i < kPools; ++i) {
      for (int k = 0; k < 3; ++k) pools[i]->put(gc::make<Item>(i * 4 + t));
    }
  });
  std::size_t wrong = 0, found = 0;
  for (std::size_t i = 0; i < kPools; ++i) {
    while (const Item* const item = pools[i]->get()) {
      ++found;
      if (item->key / 4 != i) ++wrong;
    }
  }
  CHECK(wrong == 0);
  if (!debug_setting("gcstress=")) CHECK(found >= 8 * kPools);
}

TEST_CASE("threads: drain against put and get hands nothing out twice") {
  sync::Pool<Item> pool([] { return gc::make<Item>(0); });
  Findings findings;
  std::atomic<bool> stop{false};
  std::thread drainer([&] {
    while (!stop) pool.drain();
  });
  on_threads(3, [&](std::size_t t) { use(pool, (t + 1) << 40, scaled(100'000), findings); });
  stop = true;
  drainer.join();
  INFO(findings.first());
  CHECK(findings.count() == 0);
}

}  // namespace
}  // namespace tricolor::tests
