// sync::StaticPool: N objects, no allocation.
#include "tests/pool/pool_support.hpp"

#include <set>
#include <stdexcept>

namespace tricolor::tests {
namespace {

static_assert(alignof(sync::StaticPool<Item, 4>) >= 64);
static_assert(sizeof(sync::StaticPool<Item, 4>) == 5 * 64);
static_assert(!std::is_copy_constructible_v<sync::StaticPool<Item, 4>>);

struct Early {
  int value = 4;
  gc::root<Item> item;
};
constinit sync::StaticPool<Early, 3> early;

// Runs before main, maybe before any initialiser of this file: the pool is there.
const bool used_early = [] {
  Early* const object = early.get();
  const bool whole = object != nullptr && object->value == 4;
  early.put(object);
  return whole;
}();

TEST_CASE("static pool: a constinit one is there before main") {
  CHECK(used_early);
  CHECK(early.available() == 3);
}

TEST_CASE("static pool: it gives its capacity, and then nullptr") {
  sync::StaticPool<Item, 100> pool;
  CHECK(pool.capacity() == 100);
  std::set<Item*> given;
  while (Item* const item = pool.get()) given.insert(item);
  CHECK(given.size() == 100);
  CHECK(pool.available() == 0);
  for (Item* const item : given) pool.put(item);
  CHECK(pool.available() == 100);
}

TEST_CASE("static pool: every object has cache lines of its own, inside the pool") {
  sync::StaticPool<Item, 8> pool;
  const auto lo = reinterpret_cast<std::uintptr_t>(&pool);
  while (Item* const item = pool.get()) {
    const auto at = reinterpret_cast<std::uintptr_t>(item);
    CHECK(at % 64 == 0);
    CHECK(at > lo);
    CHECK(at + sizeof(Item) <= lo + sizeof(pool));
  }
}

TEST_CASE("static pool: it allocates nothing") {
  const GcPercent off(-1);
  sync::StaticPool<Item, 8> pool;
  const std::uint64_t before = mem_stats().mallocs;
  for (int i = 0; i < 1000; ++i) pool.put(pool.get());
  CHECK(mem_stats().mallocs - before < 100);
}

TEST_CASE("static pool: an object keeps what was left in it") {
  sync::StaticPool<Item, 1> pool;
  Item* const item = pool.get();
  item->set(5);
  pool.put(item);
  CHECK(pool.get()->key == 5);
}

TEST_CASE("static pool: put(nullptr) does nothing") {
  sync::StaticPool<Item, 1> pool;
  pool.put(nullptr);
  CHECK(pool.available() == 1);
}

TEST_CASE("static pool: an object of another pool is refused") {
  sync::StaticPool<Item, 2> pool;
  sync::StaticPool<Item, 2> other;
  CHECK_THROWS_AS(pool.put(other.get()), std::invalid_argument);
  Item local;
  CHECK_THROWS_AS(pool.put(&local), std::invalid_argument);
}

TEST_CASE("static pool: an object that is put twice is refused") {
  sync::StaticPool<Item, 2> pool;
  Item* const item = pool.get();
  pool.put(item);
  CHECK_THROWS_AS(pool.put(item), std::invalid_argument);
  CHECK(pool.available() == 2);
}

TEST_CASE("static pool: in a collected object its objects' references are traced") {
  using Nodes = sync::StaticPool<Node, 4>;
  gc::root<Nodes> pool(gc::make<Nodes>());
  on_fresh_thread([&] {
    Node* const node = pool->get();
    node->left = gc::make<Node>(11);
    pool->put(node);
  });
  shake();
  CHECK(pool->get()->left->key == 11);
}

TEST_CASE("static pool: no two threads have the same object") {
  sync::StaticPool<Item, 3> pool;
  Findings findings;
  std::atomic<std::uint64_t> empty{0};
  on_threads(6, [&](std::size_t t) {
    for (std::uint64_t i = 0; i < scaled(200'000); ++i) {
      Item* const item = pool.get();
      if (item == nullptr) {
        empty.fetch_add(1, std::memory_order_relaxed);
        std::this_thread::yield();
        continue;
      }
      item->set(t << 32 | i);
      if (i % 32 == 0) std::this_thread::yield();
      findings.expect(item->key == (t << 32 | i), "an object was used by two");
      pool.put(item);
    }
  });
  CHECK(findings.count() == 0);
  CHECK(pool.available() == 3);
}

}  // namespace
}  // namespace tricolor::tests
