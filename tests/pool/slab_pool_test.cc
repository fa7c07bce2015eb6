// sync::SlabPool: where its elements lie, and what it takes back.
#include "tests/pool/pool_support.hpp"

#include <set>
#include <stdexcept>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

struct alignas(64) Wide {
  int value = 3;
};

TEST_CASE("slab pool: elements lie side by side, aligned, and grow by slabs") {
  sync::SlabPool<Wide> pool(8);
  CHECK(pool.capacity() == 0);
  Wide* last = nullptr;
  for (int i = 0; i < 8; ++i) {
    Wide* const element = pool.get();
    CHECK(reinterpret_cast<std::uintptr_t>(element) % 64 == 0);
    CHECK(element->value == 3);
    if (last != nullptr) CHECK(element == last + 1);
    last = element;
  }
  CHECK(pool.size() == 8);
  CHECK(pool.capacity() == 8);
  static_cast<void>(pool.get());
  CHECK(pool.slabs() == 2);
  CHECK(pool.capacity() == 16);
  for (int i = 0; i < 8; ++i) static_cast<void>(pool.get());
  CHECK(pool.capacity() == 32);
  CHECK(pool.size() == 17);
}

TEST_CASE("slab pool: what is put comes again; reset takes all back") {
  sync::SlabPool<Item> pool(64);
  Item* const a = pool.get();
  a->set(5);
  pool.put(a);
  CHECK(pool.size() == 0);
  CHECK(pool.get() == a);
  CHECK(a->key == 5);
  std::set<Item*> first, second;
  for (int i = 0; i < 200; ++i) first.insert(pool.get());
  const std::size_t capacity = pool.capacity();
  pool.reset();
  CHECK(pool.size() == 0);
  CHECK(pool.capacity() == capacity);
  for (std::size_t i = 0; i < capacity; ++i) second.insert(pool.get());
  CHECK(second.size() == capacity);
  CHECK(pool.capacity() == capacity);
}

TEST_CASE("slab pool: clear makes an element T() again") {
  sync::SlabPool<Wide> pool(4, true);
  Wide* const a = pool.get();
  a->value = 9;
  pool.put(a);
  CHECK(pool.get()->value == 3);
  a->value = 9;
  pool.reset();
  CHECK(pool.get() == a);
  CHECK(a->value == 3);
}

TEST_CASE("slab pool: bad input") {
  CHECK_THROWS_AS(sync::SlabPool<Item>(0), std::invalid_argument);
  sync::SlabPool<Item> pool(4), other(4);
  Item* const mine = pool.get();
  Item local;
  pool.put(nullptr);
  CHECK_THROWS_AS(pool.put(&local), std::invalid_argument);
  CHECK_THROWS_AS(pool.put(gc::make<Item>()), std::invalid_argument);
  CHECK_THROWS_AS(other.put(mine), std::invalid_argument);
  CHECK_THROWS_AS(pool.put(reinterpret_cast<Item*>(reinterpret_cast<char*>(mine) + 8)),
                  std::invalid_argument);
  pool.put(mine);
  CHECK_THROWS_AS(pool.put(mine), std::invalid_argument);
  CHECK(pool.size() == 0);
  struct Thrower {
    Thrower() { throw std::runtime_error("no"); }
    int x = 0;
  };
  sync::SlabPool<Thrower> thrower(4);
  CHECK_THROWS_AS(static_cast<void>(thrower.get()), std::runtime_error);
  CHECK(thrower.capacity() == 0);
}

TEST_CASE("slab pool: elements keep their slab, references in them what they refer to") {
  gc::root<Node> kept;
  Census census;
  on_fresh_thread([&] {
    sync::SlabPool<Node> pool(100);
    for (std::uint64_t i = 0; i < 100; ++i) {
      Node* const node = pool.get();
      node->left = gc::make<Node>(i);
      census.add(node->left.get());
      if (i == 50) kept = node;
    }
  });
  shake();
  CHECK(census.alive() == 100);
  CHECK(kept->left->key == 50);
  kept = nullptr;
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("slab pool: destructors of the elements run when the slab has died") {
  static std::atomic<int> ended{0};
  struct Counted {
    ~Counted() { ended.fetch_add(1); }
    int x = 0;
  };
  ended = 0;
  on_fresh_thread([] {
    sync::SlabPool<Counted> pool(10);
    static_cast<void>(pool.get());
  });
  collect_all();
  CHECK(ended == 10);
}

TEST_CASE("slab pool: threads share it under cycles, and no two have the same element") {
  sync::SlabPool<Item> pool(16);
  const CollectingThread collecting;
  Findings findings;
  on_threads(4, [&](std::size_t t) {
    std::array<Item*, 40> held{};
    for (std::size_t round = 0; round < scaled(2'000); ++round) {
      for (std::size_t i = 0; i < held.size(); ++i) {
        held[i] = pool.get();
        held[i]->set(t * 1000 + i);
      }
      if (round % 8 == 0) std::this_thread::yield();
      for (std::size_t i = 0; i < held.size(); ++i) {
        findings.expect(held[i]->intact() && held[i]->key == t * 1000 + i, "two have the same");
        pool.put(held[i]);
      }
    }
  });
  CHECK(findings.first() == "");
  CHECK(pool.size() == 0);
  CHECK(pool.capacity() <= 512);
}

}  // namespace
}  // namespace tricolor::tests
