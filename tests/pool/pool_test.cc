// sync::Pool on one thread: what goes in, what comes out, and what is refused.
#include "tests/pool/pool_support.hpp"

#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>

namespace tricolor::tests {
namespace {

static_assert(!std::is_copy_constructible_v<sync::Pool<Item>>);
static_assert(!std::is_copy_assignable_v<sync::Pool<Item>>);
static_assert(!std::is_move_constructible_v<sync::Pool<Item>>);
static_assert(std::is_same_v<decltype(std::declval<sync::Pool<Item>&>().get()), Item*>);

TEST_CASE("pool: two puts, then three gets: the two, and then nothing") {
  const GcPercent off(-1);
  sync::Pool<Item> pool;
  Item* const a = gc::make<Item>(1);
  Item* const b = gc::make<Item>(2);
  pool.put(a);
  pool.put(b);
  Item* const first = pool.get();
  Item* const second = pool.get();
  CHECK(((first == a && second == b) || (first == b && second == a)));
  CHECK(pool.get() == nullptr);
}

TEST_CASE("pool: new_fn is called when there is nothing, and not when there is something") {
  const GcPercent off(-1);
  int calls = 0;
  sync::Pool<Item> pool([&calls] { return gc::make<Item>(static_cast<std::uint64_t>(++calls)); });
  Item* const made = pool.get();
  CHECK(calls == 1);
  CHECK(made->key == 1);
  pool.put(made);
  CHECK(pool.get() == made);
  CHECK(calls == 1);
  CHECK(pool.get()->key == 2);
  CHECK(calls == 2);
}

TEST_CASE("pool: put(nullptr) does nothing") {
  sync::Pool<Item> pool;
  pool.put(nullptr);
  CHECK(pool.get() == nullptr);
  CHECK(pool.stats().puts == 0);
}

TEST_CASE("pool: the type follows from new_fn") {
  sync::Pool pool([] { return gc::make<Item>(5); });
  static_assert(std::is_same_v<decltype(pool), sync::Pool<Item>>);
  CHECK(pool.get()->key == 5);
}

TEST_CASE("pool: new_fn may be a callable that cannot be copied") {
  auto start = std::make_unique<std::uint64_t>(7);
  sync::Pool<Item> pool(
      [start = std::move(start)]() mutable { return gc::make<Item>((*start)++); });
  CHECK(pool.get()->key == 7);
  CHECK(pool.get()->key == 8);
}

TEST_CASE("pool: new_fn may be a function") {
  sync::Pool<Item> pool(+[] { return gc::make<Item>(9); });
  CHECK(pool.get()->key == 9);
}

TEST_CASE("pool: what new_fn throws comes out of get, and the pool goes on") {
  const GcPercent off(-1);
  bool fail = true;
  sync::Pool<Item> pool([&fail]() -> Item* {
    if (fail) throw std::runtime_error("no more");
    return gc::make<Item>(1);
  });
  CHECK_THROWS_AS(static_cast<void>(pool.get()), std::runtime_error);
  fail = false;
  pool.put(pool.get());
  CHECK(pool.get()->key == 1);
}

TEST_CASE("pool: objects keep their contents, and what they refer to") {
  sync::Pool<Node> pool;
  on_fresh_thread([&pool] {
    for (std::uint64_t i = 0; i < 50; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = gc::make<Node>(i + 1000);
      pool.put(node);
    }
    runtime::collect();
    churn(scaled(20000));
    while (Node* const node = pool.get()) {
      CHECK(node->intact());
      CHECK(node->left->intact());
      CHECK(node->left->key == node->key + 1000);
    }
  });
}

TEST_CASE("pool: an object put once comes out once") {
  const GcPercent off(-1);
  sync::Pool<Item> pool;
  constexpr std::uint64_t kItems = 1000;
  std::vector<gc::root<Item>> items;
  for (std::uint64_t i = 0; i < kItems; ++i) items.emplace_back(gc::make<Item>(i));
  for (const gc::root<Item>& item : items) pool.put(item);
  std::vector<bool> seen(kItems);
  std::uint64_t count = 0;
  bool twice = false;
  while (const Item* const item = pool.get()) {
    twice = twice || seen[item->key];
    seen[item->key] = true;
    ++count;
  }
  CHECK_FALSE(twice);
  if (!debug_setting("gcstress=")) CHECK(count == kItems);
}

TEST_CASE("pool: get_local does not take from another thread") {
  CHECK(with_counted_cycles([](auto) -> std::function<void()> {
    sync::Pool<Item> pool;
    std::atomic<bool> put{false}, done{false};
    std::thread owner([&] {
      for (std::uint64_t i = 0; i < 10; ++i) pool.put(gc::make<Item>(i));
      put = true;
      while (!done) std::this_thread::yield();
    });
    while (!put) std::this_thread::yield();
    const bool local = pool.get_local() != nullptr;
    const bool anywhere = pool.get() != nullptr;
    done = true;
    owner.join();
    return [local, anywhere, steals = pool.stats().steals] {
      CHECK_FALSE(local);
      CHECK(anywhere);
      CHECK(steals == 1);
    };
  }));
}

TEST_CASE("pool: get_local finds what its own thread has put, and calls new_fn after that") {
  const GcPercent off(-1);
  sync::Pool<Item> pool([] { return gc::make<Item>(100); });
  for (std::uint64_t i = 0; i < 10; ++i) pool.put(gc::make<Item>(i));
  for (std::uint64_t i = 0; i < 10; ++i) CHECK(pool.get_local()->key < 10);
  CHECK(pool.get_local()->key == 100);
}

TEST_CASE("pool: drain leaves nothing, and the pool goes on") {
  const GcPercent off(-1);
  sync::Pool<Item> pool;
  for (std::uint64_t i = 0; i < 100; ++i) pool.put(gc::make<Item>(i));
  pool.drain();
  CHECK(pool.get() == nullptr);
  pool.put(gc::make<Item>(7));
  CHECK(pool.get()->key == 7);
}

TEST_CASE("pool: drain takes the victims too") {
  sync::Pool<Item> pool;
  on_fresh_thread([&pool] {
    for (std::uint64_t i = 0; i < 100; ++i) pool.put(gc::make<Item>(i));
    runtime::collect();
    pool.drain();
    CHECK(pool.get() == nullptr);
  });
}

TEST_CASE("pool: what was drained is collected") {
  const GcPercent off(-1);
  sync::Pool<Item> pool;
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 1000; ++i) {
      Item* const item = gc::make<Item>(i);
      census.add(item);
      pool.put(item);
    }
    pool.drain();
  });
  runtime::collect();
  CHECK(census.reclaimed());
}

TEST_CASE("pool: reset runs on reuse and not on a fresh object") {
  const GcPercent off(-1);
  int resets = 0;
  sync::Pool<Item> pool({.new_fn = [] { return gc::make<Item>(1); },
                         .reset =
                             [&resets](Item& item) {
                               item.set(0);
                               ++resets;
                             }});
  Item* const item = pool.get();
  CHECK(item->key == 1);
  CHECK(resets == 0);
  item->set(42);
  pool.put(item);
  Item* const again = pool.get();
  CHECK(again == item);
  CHECK(again->key == 0);
  CHECK(resets == 1);
}

TEST_CASE("pool: an object that keep refuses is discarded") {
  const GcPercent off(-1);
  sync::Pool<Item> pool({.keep = [](const Item& item) { return item.key < 10; }});
  pool.put(gc::make<Item>(10));
  CHECK(pool.get() == nullptr);
  pool.put(gc::make<Item>(9));
  CHECK(pool.get()->key == 9);
  CHECK(pool.stats().discarded == 1);
  CHECK(pool.stats().puts == 2);
}

TEST_CASE("pool: an object above max_retained_bytes is discarded") {
  const GcPercent off(-1);
  sync::Pool<Item> pool(
      {.size_of = [](const Item& item) { return static_cast<std::size_t>(item.key); },
       .max_retained_bytes = 4096});
  pool.put(gc::make<Item>(4097));
  CHECK(pool.get() == nullptr);
  pool.put(gc::make<Item>(4096));
  CHECK(pool.get()->key == 4096);
}

TEST_CASE("pool: without size_of an object's size is that of its type") {
  const GcPercent off(-1);
  sync::Pool<Blob<200>> small({.max_retained_bytes = 199});
  small.put(gc::make<Blob<200>>(1));
  CHECK(small.get() == nullptr);
  sync::Pool<Blob<200>> large({.max_retained_bytes = 200});
  large.put(gc::make<Blob<200>>(1));
  CHECK(large.get() != nullptr);
}

TEST_CASE("pool: a thread keeps no more than max_shared_per_thread beyond its private one") {
  CHECK(with_counted_cycles([](auto) -> std::function<void()> {
    sync::Pool<Item> pool({.max_shared_per_thread = 20});
    for (std::uint64_t i = 0; i < 100; ++i) pool.put(gc::make<Item>(i));
    std::size_t left = 0;
    while (pool.get() != nullptr) ++left;
    return [left, discarded = pool.stats().discarded] {
      CHECK(left == 21);
      CHECK(discarded == 79);
    };
  }));
}

TEST_CASE("pool: the counters tell where the gets were served from") {
  CHECK(with_counted_cycles([](auto collect) -> std::function<void()> {
    sync::Pool<Item> pool([] { return gc::make<Item>(1); });
    static_cast<void>(pool.get());                                      // a miss
    for (std::uint64_t i = 0; i < 5; ++i) pool.put(gc::make<Item>(i));  // one private, four shared
    for (int i = 0; i < 3; ++i) static_cast<void>(pool.get());          // one private, two shared
    std::thread([&pool] { static_cast<void>(pool.get()); }).join();     // stolen
    collect();
    static_cast<void>(pool.get());  // from the victim
    const sync::PoolStats stats = pool.stats();
    return [stats] {
      CHECK(stats.misses == 1);
      CHECK(stats.private_hits == 1);
      CHECK(stats.shared_hits == 2);
      CHECK(stats.steals == 1);
      CHECK(stats.victim_hits == 1);
      CHECK(stats.puts == 5);
      CHECK(stats.discarded == 0);
      CHECK(stats.gets() == 6);
      CHECK(stats.hit_rate() == doctest::Approx(5.0 / 6.0));
    };
  }));
}

TEST_CASE("pool: the counters outlive collections and threads") {
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  constexpr std::uint64_t kPairs = 1000;
  for (int round = 0; round < 4; ++round) {
    on_threads(3, [&pool](std::size_t) {
      for (std::uint64_t i = 0; i < kPairs; ++i) pool.put(pool.get());
    });
    runtime::collect();
  }
  CHECK(pool.stats().gets() == 12 * kPairs);
  CHECK(pool.stats().puts == 12 * kPairs);
}

TEST_CASE("pool: an object may be one of a derived class, reached at an offset") {
  const GcPercent off(-1);
  struct Base {
    std::uint64_t key = 3;
  };
  struct Other {
    std::uint64_t filler[4] = {};
  };
  struct Derived : Other, Base {};
  sync::Pool<Base> pool;
  Derived* const derived = gc::make<Derived>();
  pool.put(derived);
  CHECK(pool.get() == static_cast<Base*>(derived));
}

TEST_CASE("pool: a pool may lie in a collected object, and goes with it") {
  struct Owner {
    sync::Pool<Item> pool;
  };
  Census owners, items;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 200; ++i) {
      Owner* const owner = gc::make<Owner>();
      Item* const item = gc::make<Item>(i);
      owner->pool.put(item);
      owners.add(owner);
      items.add(item);
    }
  });
  for (int i = 0; i < 4; ++i) collect_all();
  CHECK(owners.reclaimed());
  CHECK(items.reclaimed());
}

sync::Pool<Item> g_pool([] { return gc::make<Item>(77); });

TEST_CASE("pool: a pool may be a global") {
  Item* const item = g_pool.get();
  CHECK(item->intact());
  g_pool.put(item);
}

}  // namespace
}  // namespace tricolor::tests
