// sync::BoundedPool: the bound holds over all threads; nothing is lost or given twice.
#include "tests/pool/pool_support.hpp"

#include <stdexcept>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

TEST_CASE("bounded pool: keeps as many as it may, drops and counts the rest") {
  sync::BoundedPool<Item> pool(9);
  for (std::uint64_t i = 0; i < 100; ++i) pool.put(gc::make<Item>(i));
  CHECK(pool.size() == 9);
  CHECK(pool.max() == 9);
  CHECK(pool.stats().puts == 100);
  CHECK(pool.stats().discarded == 91);
  int got = 0;
  while (pool.get() != nullptr) ++got;
  CHECK(got == 9);
  CHECK(pool.size() == 0);
}

TEST_CASE("bounded pool: the bound is that of all threads together") {
  sync::BoundedPool<Item> pool(9);
  Findings findings;
  on_threads(8, [&](std::size_t t) {
    for (std::size_t i = 0; i < scaled(20'000); ++i) {
      pool.put(gc::make<Item>(t));
      findings.expect(pool.size() <= 9, "more than the bound are kept");
    }
  });
  CHECK(findings.count() == 0);
  CHECK(pool.size() == 9);
  CHECK(pool.stats().discarded == pool.stats().puts - 9);
}

TEST_CASE("bounded pool: the last put comes first, new_fn when it is empty") {
  int made = 0;
  sync::BoundedPool<Item> pool(4, {.new_fn = [&made] {
                                 ++made;
                                 return gc::make<Item>(77);
                               }});
  Item* const a = gc::make<Item>(1);
  Item* const b = gc::make<Item>(2);
  pool.put(a);
  pool.put(b);
  CHECK(pool.get() == b);
  CHECK(pool.get() == a);
  CHECK(pool.get()->key == 77);
  CHECK(made == 1);
  CHECK(pool.stats().misses == 1);
  CHECK(pool.stats().gets() == 3);
  sync::BoundedPool<Item> short_form(4, [] { return gc::make<Item>(5); });
  CHECK(short_form.get()->key == 5);
}

TEST_CASE("bounded pool: reset and clear run at put, on what is kept") {
  struct Holder {
    gc::ptr<Node> node;
    int uses = 0;
  };
  int resets = 0;
  sync::BoundedPool<Holder> pool(1, {.reset = [&resets](Holder& h) {
                                   h.node = nullptr;
                                   ++resets;
                                 }});
  Census census;
  on_fresh_thread([&] {
    Holder* const holder = gc::make<Holder>();
    holder->node = gc::make<Node>(1);
    census.add(holder->node.get());
    pool.put(holder);
    pool.put(gc::make<Holder>());  // over the bound: not reset
  });
  CHECK(resets == 1);
  collect_all();
  CHECK(census.alive() == 0);
  sync::BoundedPool<Holder> cleared(1, {.clear = true});
  Holder* const holder = gc::make<Holder>();
  holder->uses = 9;
  cleared.put(holder);
  CHECK(cleared.get()->uses == 0);
}

TEST_CASE("bounded pool: what it keeps survives collections until it is drained") {
  sync::BoundedPool<Node> pool(100);
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 100; ++i) {
      Node* const node = gc::make<Node>(i);
      census.add(node);
      pool.put(node);
    }
  });
  shake();
  CHECK(census.alive() == 100);
  on_fresh_thread([&] {
    for (int i = 0; i < 100; ++i) {
      Node* const node = pool.get();
      REQUIRE(node->intact());
      pool.put(node);
    }
    pool.drain();
  });
  CHECK(pool.size() == 0);
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("bounded pool: bad input") {
  sync::BoundedPool<Item> none(0);
  none.put(gc::make<Item>());
  none.put(nullptr);
  CHECK(none.size() == 0);
  CHECK(none.get() == nullptr);
  CHECK(none.stats().discarded == 1);
  CHECK(none.stats().puts == 1);
  sync::BoundedPool<Item> thrower(2, {.new_fn = []() -> Item* { throw std::runtime_error("no"); },
                                      .reset = [](Item&) { throw std::runtime_error("reset"); }});
  CHECK_THROWS_AS(static_cast<void>(thrower.get()), std::runtime_error);
  for (int i = 0; i < 5; ++i) CHECK_THROWS_AS(thrower.put(gc::make<Item>()), std::runtime_error);
  CHECK(thrower.size() == 0);
  sync::BoundedPool<Item> huge(SIZE_MAX);
  for (std::uint64_t i = 0; i < 1000; ++i) huge.put(gc::make<Item>(i));
  CHECK(huge.size() == 1000);
  struct NoDefault {
    explicit NoDefault(int) {}
  };
  CHECK_THROWS_AS((sync::BoundedPool<NoDefault>(1, {.clear = true})), std::invalid_argument);
}

TEST_CASE("bounded pool: a lease goes back, exceptions included") {
  sync::BoundedPool<Item> pool(2, [] { return gc::make<Item>(1); });
  try {
    const auto lease = pool.lease();
    CHECK(lease->key == 1);
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  CHECK(pool.size() == 1);
}

TEST_CASE("bounded pool: threads share it under cycles, and no two have the same object") {
  sync::BoundedPool<Item> pool(32, [] { return gc::make<Item>(0); });
  const CollectingThread collecting;
  Findings findings;
  on_threads(4, [&](std::size_t t) {
    for (std::size_t i = 0; i < scaled(50'000); ++i) {
      Item* const item = pool.get();
      findings.expect(item->intact(), "an object is not whole");
      item->set(t * 1'000'000 + i);
      if (i % 16 == 0) std::this_thread::yield();
      findings.expect(item->key == t * 1'000'000 + i, "two have the same object");
      pool.put(item);
    }
  });
  CHECK(findings.first() == "");
  CHECK(pool.size() <= 32);
}

}  // namespace
}  // namespace tricolor::tests
