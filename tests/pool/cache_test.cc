// sync::Cache: the bound, what stays and what goes, expiry, loads, and what goes wrong.
#include "tests/pool/pool_support.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

using namespace std::chrono_literals;
using IntCache = sync::Cache<int, Item>;

Item* item(int key) { return gc::make<Item>(static_cast<std::uint64_t>(key)); }

// A clock that is set by hand.
struct Clock {
  std::shared_ptr<std::atomic<std::int64_t>> ns = std::make_shared<std::atomic<std::int64_t>>(1);
  void advance(std::chrono::nanoseconds by) { ns->fetch_add(by.count()); }
  std::chrono::steady_clock::time_point operator()() const {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(ns->load()));
  }
};

TEST_CASE("cache: set, get, replace, erase") {
  IntCache cache({.max_cost = 100});
  CHECK(cache.get(1) == nullptr);
  Item* const a = item(1);
  CHECK(cache.set(1, a));
  CHECK(cache.get(1) == a);
  Item* const b = item(2);
  CHECK(cache.set(1, b));
  CHECK(cache.get(1) == b);
  CHECK(cache.size() == 1);
  CHECK(cache.erase(1));
  CHECK_FALSE(cache.erase(1));
  CHECK(cache.get(1) == nullptr);
  const sync::CacheStats stats = cache.stats();
  CHECK(stats.hits == 2);
  CHECK(stats.misses == 2);
  CHECK(stats.sets == 2);
  CHECK(stats.cost == 0);
}

TEST_CASE("[cache.bound] cache: the cost is never above the bound, whatever is stored") {
  Random random(announce_seed("cache bound"));
  sync::Cache<int, Item> cache({.max_cost = 1000, .cost = [](const Item& i) { return i.key; }});
  for (int i = 0; i < static_cast<int>(scaled(100'000)); ++i) {
    const int key = static_cast<int>(random.below(300));
    const bool huge = random.one_in(50);
    const bool kept = cache.set(key, item(static_cast<int>(huge ? 1001 : random.below(200))));
    REQUIRE(kept == !huge);
    REQUIRE(cache.stats().cost <= 1000);
    if (huge) REQUIRE(cache.get(key) == nullptr);
    if (kept) REQUIRE(cache.get(key) != nullptr);
    if (random.one_in(10)) cache.erase(static_cast<int>(random.below(300)));
  }
  CHECK(cache.stats().rejected > 0);
  CHECK(cache.stats().evictions > 0);
  std::size_t sum = 0;
  for (int key = 0; key < 300; ++key) {
    if (const Item* const there = cache.get(key)) sum += there->key;
  }
  CHECK(sum == cache.stats().cost);
}

TEST_CASE("cache: cost functions of every form; what goes is told") {
  std::vector<int> gone;
  sync::Cache<int, Item> by_pointer({.max_cost = 4,
                                     .cost = [](Item*) { return 2; },
                                     .on_evict =
                                         [&gone](const int& key, Item* value) {
                                           CHECK(value->key == static_cast<std::uint64_t>(key));
                                           gone.push_back(key);
                                         }});
  for (int key = 0; key < 5; ++key) by_pointer.set(key, item(key));
  CHECK(gone.size() == 3);
  CHECK(by_pointer.size() == 2);
  sync::Cache<int, Item> by_both({.max_cost = 4, .cost = [](int key, const Item&) { return key; }});
  CHECK(by_both.set(4, item(1)));
  CHECK_FALSE(by_both.set(5, item(1)));
}

TEST_CASE("cache: what is asked for often survives a scan") {
  IntCache cache({.max_cost = 200});
  for (int round = 0; round < 10; ++round) {
    for (int hot = 0; hot < 100; ++hot) {
      if (cache.get(hot) == nullptr) cache.set(hot, item(hot));
    }
  }
  for (int cold = 1000; cold < 11'000; ++cold) cache.set(cold, item(cold));
  int left = 0;
  for (int hot = 0; hot < 100; ++hot) left += cache.get(hot) != nullptr ? 1 : 0;
  CHECK(left >= 95);
}

TEST_CASE("cache: expiry") {
  Clock clock;
  IntCache cache({.max_cost = 100, .ttl = 10s, .now = clock});
  cache.set(1, item(1));
  cache.set(2, item(2), 60s);
  cache.set(3, item(3), 0s);
  clock.advance(9s);
  CHECK(cache.get(1) != nullptr);
  clock.advance(2s);
  CHECK(cache.get(1) == nullptr);
  CHECK(cache.get(2) != nullptr);
  CHECK_FALSE(cache.erase(1));
  cache.set(1, item(1));
  clock.advance(60s);
  cache.purge();
  CHECK(cache.size() == 1);
  CHECK(cache.stats().cost == 1);
  CHECK(cache.stats().expirations >= 2);
  CHECK(cache.get(3) != nullptr);
  for (int i = 0; i < 1000; ++i) cache.set(5, item(5));  // no heap of times grows
  clock.advance(5s);
  cache.set(5, item(6));
  clock.advance(6s);
  CHECK(cache.get(5) != nullptr);
}

TEST_CASE("cache: namespaces are apart, and cleared apart") {
  IntCache cache({.max_cost = 100});
  auto a = cache.space("a");
  auto b = cache.space("b");
  a.set(1, item(10));
  b.set(1, item(20));
  cache.set(1, item(30));
  CHECK(a.get(1)->key == 10);
  CHECK(b.get(1)->key == 20);
  CHECK(cache.get(1)->key == 30);
  CHECK(cache.space("a").get(1)->key == 10);
  CHECK(cache.size() == 3);
  a.clear();
  CHECK(a.get(1) == nullptr);
  CHECK(b.get(1) != nullptr);
  cache.clear();
  CHECK(b.get(1) == nullptr);
  CHECK(cache.stats().cost == 0);
}

TEST_CASE("cache: top_keys names the hottest first") {
  sync::Cache<std::string, Item> cache({.max_cost = 1000});
  for (int i = 0; i < 100; ++i) cache.set("key " + std::to_string(i), item(i));
  for (int i = 0; i < 50; ++i) static_cast<void>(cache.get("key 7"));
  for (int i = 0; i < 30; ++i) static_cast<void>(cache.get("key 3"));
  const auto top = cache.top_keys(2);
  REQUIRE(top.size() == 2);
  CHECK(top[0] == "key 7");
  CHECK(top[0].count == 51);
  CHECK(top[1].key == "key 3");
  CHECK(cache.top_keys(0).empty());
  CHECK(cache.top_keys(500).size() == 100);
}

TEST_CASE("cache: nullptr is refused") {
  IntCache cache;
  CHECK_THROWS_AS(cache.set(1, nullptr), std::invalid_argument);
  IntCache none(0);
  CHECK_FALSE(none.set(1, item(1)));
  CHECK(none.get(1) == nullptr);
}

TEST_CASE("cache: LRU, and swapping the evictor while there is something in it") {
  IntCache cache({.max_cost = 3, .evictor = std::make_shared<sync::LruEvictor>()});
  for (int key = 1; key <= 3; ++key) cache.set(key, item(key));
  static_cast<void>(cache.get(1));
  cache.set(4, item(4));
  CHECK(cache.get(2) == nullptr);
  CHECK(cache.get(1) != nullptr);
  cache.set_evictor(std::make_shared<sync::SampledLfuEvictor>());
  for (int i = 0; i < 5; ++i) {
    static_cast<void>(cache.get(1));
    static_cast<void>(cache.get(4));
  }
  cache.set(5, item(5));
  CHECK(cache.get(3) == nullptr);
  CHECK(cache.size() == 3);
  cache.set_evictor(nullptr);
  for (int key = 10; key < 50; ++key) cache.set(key, item(key));
  CHECK(cache.size() <= 3);
  CHECK(cache.get(49) != nullptr);
}

TEST_CASE("cache: LRU-2 keeps what was used twice from a scan") {
  IntCache cache({.max_cost = 10, .evictor = std::make_shared<sync::LruKEvictor>(2)});
  for (int key = 0; key < 5; ++key) cache.set(key, item(key));
  for (int key = 0; key < 5; ++key) static_cast<void>(cache.get(key));
  for (int key = 100; key < 200; ++key) cache.set(key, item(key));
  for (int key = 0; key < 5; ++key) CHECK(cache.get(key) != nullptr);
  CHECK_THROWS_AS(sync::LruKEvictor(0), std::invalid_argument);
  CHECK_THROWS_AS(sync::SampledLfuEvictor(0), std::invalid_argument);
}

// Says which keys it was asked about.
struct Fussy final : sync::Evictor {
  void on_access(std::uint64_t key) override { seen.push_back(key); }
  bool should_evict(std::uint64_t key) override {
    ++asked;
    return !seen.empty() && key == seen[1];  // the second one ever
  }
  void reset() override { ++resets; }
  std::vector<std::uint64_t> seen;
  int asked = 0, resets = 0;
};

TEST_CASE("cache: an evictor of one's own is asked") {
  const auto fussy = std::make_shared<Fussy>();
  IntCache cache({.max_cost = 3, .evictor = fussy});
  for (int key = 1; key <= 4; ++key) cache.set(key, item(key));
  CHECK(fussy->asked == 2);
  CHECK(cache.get(2) == nullptr);
  CHECK(cache.get(1) != nullptr);
  cache.set(5, item(5));  // it says yes to none: the longest unused goes
  CHECK(cache.size() == 3);
  cache.clear();
  CHECK(fussy->resets == 1);
}

struct Throwing final : sync::Evictor {
  void on_access(std::uint64_t) override { throw std::runtime_error("no access"); }
  bool should_evict(std::uint64_t) override { throw std::runtime_error("no verdict"); }
  void reset() override {}
};

TEST_CASE("cache: an evictor that throws is dropped, the writer hears of it, nothing is lost") {
  IntCache cache({.max_cost = 3, .evictor = std::make_shared<Throwing>()});
  CHECK_THROWS_WITH_AS(cache.set(1, item(1)), "no access", std::runtime_error);
  CHECK(cache.get(1) != nullptr);
  for (int key = 2; key < 20; ++key) CHECK(cache.set(key, item(key)));
  CHECK(cache.size() <= 3);
  CHECK(cache.stats().cost <= 3);
}

TEST_CASE("cache: a load is kept, its exception is not, nullptr is none") {
  IntCache cache({.max_cost = 10});
  int loads = 0;
  const auto load = [&](int key) {
    ++loads;
    return item(key);
  };
  Item* const first = cache.get_or_load(1, load);
  CHECK(first->key == 1);
  CHECK(cache.get_or_load(1, load) == first);
  CHECK(loads == 1);
  CHECK_THROWS_AS(cache.get_or_load(2, []() -> Item* { throw std::runtime_error("down"); }),
                  std::runtime_error);
  CHECK(cache.get_or_load(2, load)->key == 2);
  CHECK(cache.get_or_load(3, [] { return static_cast<Item*>(nullptr); }) == nullptr);
  CHECK(cache.get_or_load(3, load)->key == 3);
  CHECK(cache.stats().load_failures == 1);
  CHECK(cache.stats().loads == 4);
  CHECK(cache.space("x").get_or_load(1, [] { return item(9); })->key == 9);
}

TEST_CASE("[cache.flight] cache: one load a key in a stampede, all have its value") {
  IntCache cache({.max_cost = 100});
  std::atomic<int> loads{0};
  Findings findings;
  const CollectingThread collecting;
  on_threads(8, [&](std::size_t) {
    for (int key = 0; key < 50; ++key) {
      Item* const value = cache.get_or_load(key, [&](int k) {
        loads.fetch_add(1);
        std::this_thread::yield();
        churn(50);
        return item(k);
      });
      findings.expect(value->intact() && value->key == static_cast<std::uint64_t>(key),
                      "not whole");
    }
  });
  CHECK(findings.first() == "");
  CHECK(loads == 50);
}

TEST_CASE("cache: who waits for a load gets its exception; the next one loads again") {
  IntCache cache({.max_cost = 100});
  std::atomic<bool> entered{false}, go{false}, waited{false};
  std::thread loader([&] {
    try {
      cache.get_or_load(1, [&]() -> Item* {
        entered = true;
        eventually([&] { return go.load(); });
        throw std::runtime_error("down");
      });
      FAIL("not thrown");
    } catch (const std::runtime_error&) {
      // ThreadSanitizer does not see the count by which both own the exception.
      eventually([&] { return waited.load(); });
    }
  });
  CHECK(eventually([&] { return entered.load(); }));
  std::atomic<int> waiting{0};
  std::thread waiter([&] {
    waiting = 1;
    // Either it waits for the loader, or, if it comes too late, it loads itself.
    try {
      CHECK(cache.get_or_load(1, [] { return item(1); })->key == 1);
    } catch (const std::runtime_error& error) {
      CHECK(std::string(error.what()) == "down");
    }
    waited = true;
  });
  CHECK(eventually([&] { return waiting.load() == 1; }));
  go = true;
  loader.join();
  waiter.join();
  CHECK(cache.get_or_load(1, [] { return item(7); }) != nullptr);
}

TEST_CASE("cache: a loader that asks for its own key, and one that does not return") {
  IntCache cache({.max_cost = 100, .load_timeout = 1ms});
  CHECK_THROWS_AS(
      cache.get_or_load(1, [&] { return cache.get_or_load(1, [] { return item(1); }); }),
      std::logic_error);
  CHECK(cache.get_or_load(1, [&] { return cache.get_or_load(2, [] { return item(2); }); })->key ==
        2);
  std::atomic<bool> entered{false}, go{false};
  std::thread loader([&] {
    cache.get_or_load(5, [&] {
      entered = true;
      eventually([&] { return go.load(); });
      return item(5);
    });
  });
  CHECK(eventually([&] { return entered.load(); }));
  CHECK_THROWS_AS(cache.get_or_load(5, [] { return item(6); }), sync::LoadTimeout);
  go = true;
  loader.join();
  CHECK(cache.get(5)->key == 5);
}

TEST_CASE("cache: destroyed while a load runs: the loader has its value, who waits hears of it") {
  std::optional<IntCache> cache;
  cache.emplace(IntCache::Options{.max_cost = 100});
  std::atomic<bool> entered{false}, go{false};
  std::thread loader([&] {
    Item* const value = cache->get_or_load(1, [&] {
      entered = true;
      eventually([&] { return go.load(); });
      return item(1);
    });
    CHECK(value->key == 1);
  });
  CHECK(eventually([&] { return entered.load(); }));
  auto space = cache->space("");  // outlives the cache
  std::atomic<bool> asks{false};
  cache.reset();
  go = true;
  loader.join();
  CHECK(space.get(1) == nullptr);
}

TEST_CASE("cache: keys and values stay as long as they are in it, and go when they are not") {
  sync::Cache<Node*, Node> cache({.max_cost = 500});
  Census kept;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 500; ++i) {
      Node* const key = gc::make<Node>(i);
      Node* const value = gc::make<Node>(i);
      kept.add(key);
      kept.add(value);
      cache.set(key, value);
    }
  });
  shake();
  CHECK(kept.alive() == 1000);
  on_fresh_thread([&] { cache.clear(); });
  collect_all();
  CHECK(kept.reclaimed());
}

TEST_CASE("cache: threads read, write, load and swap evictors under cycles") {
  sync::Cache<int, Item> cache({.max_cost = 300, .ttl = 1h});
  const CollectingThread collecting;
  Findings findings;
  on_threads(4, [&](std::size_t t) {
    Random random(t);
    for (std::size_t i = 0; i < scaled(40'000); ++i) {
      const int key = static_cast<int>(random.below(1000));
      switch (random.below(8)) {
        case 0:
          cache.set(key, item(key));
          break;
        case 1:
          cache.erase(key);
          break;
        case 2:
          if (random.one_in(500)) {
            if (random.one_in(2)) {
              cache.set_evictor(std::make_shared<sync::LruKEvictor>());
            } else {
              cache.set_evictor(nullptr);
            }
          }
          findings.expect(cache.stats().cost <= 300, "the cost is above the bound");
          break;
        case 3: {
          const Item* const v = cache.get_or_load(key, [](int k) { return item(k); });
          findings.expect(v->key == static_cast<std::uint64_t>(key), "a load gave another key's");
          break;
        }
        default:
          if (const Item* const v = cache.get(key)) {
            findings.expect(v->intact() && v->key == static_cast<std::uint64_t>(key), "not whole");
          }
      }
    }
  });
  CHECK(findings.first() == "");
  CHECK(cache.size() <= 300);
}

// Hit ratios of the policy against LRU's on generated traces.
std::vector<int> zipf_trace(std::size_t length, std::size_t keys, double s, std::uint64_t seed) {
  std::vector<double> sum(keys);
  double all = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    all += 1 / std::pow(static_cast<double>(i + 1), s);
    sum[i] = all;
  }
  Random random(seed);
  std::vector<int> trace(length);
  for (int& key : trace) {
    const double at = static_cast<double>(random.next() >> 11) * 0x1p-53 * all;
    key = static_cast<int>(std::lower_bound(sum.begin(), sum.end(), at) - sum.begin());
  }
  return trace;
}

double hit_rate(IntCache& cache, const std::vector<int>& trace) {
  for (const int key : trace) {
    if (cache.get(key) == nullptr) cache.set(key, item(key));
  }
  return cache.stats().hit_rate();
}

TEST_CASE("cache: the built-in policy beats LRU where some keys are hot, and under a loop") {
  const std::vector<int> zipf = zipf_trace(scaled(200'000), 10'000, 0.9, 1);
  IntCache tiny({.max_cost = 500});
  IntCache lru({.max_cost = 500, .evictor = std::make_shared<sync::LruEvictor>()});
  const double ours = hit_rate(tiny, zipf), theirs = hit_rate(lru, zipf);
  CAPTURE(ours);
  CAPTURE(theirs);
  CHECK(ours > theirs + 0.02);
  std::vector<int> loop(scaled(100'000));
  for (std::size_t i = 0; i < loop.size(); ++i) loop[i] = static_cast<int>(i % 600);
  IntCache loop_tiny({.max_cost = 500});
  IntCache loop_lru({.max_cost = 500, .evictor = std::make_shared<sync::LruEvictor>()});
  const double loop_theirs = hit_rate(loop_lru, loop), loop_ours = hit_rate(loop_tiny, loop);
  CAPTURE(loop_ours);
  CHECK(loop_theirs < 0.01);
  if (loop.size() >= 10'000) CHECK(loop_ours > 0.3);
}

}  // namespace
}  // namespace tricolor::tests
