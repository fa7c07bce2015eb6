// The deque under the pools: one owner at the head, thieves at the tail, every item to exactly one
// of them.
#include "pool/ring.h"

#include "tests/pool/pool_support.hpp"

namespace tricolor::tests {
namespace {

using sync::detail::Local;
using sync::detail::Ring;

TEST_CASE("ring: last in at the head, first in at the tail") {
  Ring* const ring = gc::make<Ring>(8u);
  Item* items[4];
  for (Item*& item : items) {
    item = gc::make<Item>(1);
    CHECK(ring->push_head(item));
  }
  CHECK(ring->pop_head() == items[3]);
  CHECK(ring->pop_tail() == items[0]);
  CHECK(ring->pop_tail() == items[1]);
  CHECK(ring->pop_head() == items[2]);
  CHECK(ring->pop_head() == nullptr);
  CHECK(ring->pop_tail() == nullptr);
}

TEST_CASE("ring: it holds its capacity, and no more") {
  Ring* const ring = gc::make<Ring>(8u);
  for (std::uint64_t i = 0; i < 8; ++i) CHECK(ring->push_head(gc::make<Item>(i)));
  CHECK(ring->size() == 8);
  CHECK_FALSE(ring->push_head(gc::make<Item>(8)));
  CHECK(ring->pop_tail() != nullptr);
  CHECK(ring->push_head(gc::make<Item>(9)));
}

TEST_CASE("ring: the counts go round the slots many times") {
  Ring* const ring = gc::make<Ring>(8u);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    CHECK(ring->push_head(gc::make<Item>(i)));
    CHECK(ring->push_head(gc::make<Item>(i)));
    CHECK(static_cast<Item*>(ring->pop_tail())->key == i);
    CHECK(static_cast<Item*>(ring->pop_head())->key == i);
  }
  CHECK(ring->size() == 0);
}

TEST_CASE("ring: what it holds stays alive") {
  Ring* const ring = gc::make<Ring>(64u);
  on_fresh_thread([ring = gc::root<Ring>(ring)] {
    for (std::uint64_t i = 0; i < 64; ++i) ring->push_head(gc::make<Item>(i));
  });
  shake();
  for (std::uint64_t i = 0; i < 64; ++i) {
    const Item* const item = static_cast<Item*>(ring->pop_tail());
    CHECK(item->key == i);
    CHECK(item->intact());
  }
}

TEST_CASE("chain: rings double as it grows, and all items come back") {
  Local* const local = gc::make<Local>();
  constexpr std::uint64_t kItems = 1000;
  for (std::uint64_t i = 0; i < kItems; ++i) sync::detail::push_head(*local, gc::make<Item>(i));
  CHECK(local->head->capacity() == 512);
  CHECK(sync::detail::shared_size(*local) == kItems);
  CHECK(static_cast<Item*>(sync::detail::pop_tail(*local))->key == 0);
  for (std::uint64_t i = kItems - 1; i > 0; --i) {
    CHECK(static_cast<Item*>(sync::detail::pop_head(*local))->key == i);
  }
  CHECK(sync::detail::pop_head(*local) == nullptr);
  CHECK(sync::detail::pop_tail(*local) == nullptr);
}

TEST_CASE("chain: a tail ring that was emptied is dropped and collected") {
  gc::root<Local> local(gc::make<Local>());
  Census rings;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 8 + 16 + 32; ++i) {
      sync::detail::push_head(*local, gc::make<Item>(i));
      if (i == 7 || i == 23) rings.add(local->head.get());
    }
    for (int i = 0; i < 8 + 16 + 1; ++i) sync::detail::pop_tail(*local);
    CHECK(local->tail.load() == local->head.get());
  });
  collect_all();
  CHECK(rings.alive() == 0);
}

constexpr std::size_t kConsumers = 9;

// One producer at the head, nine consumers at the tail; `push` may fail, `pop_own` is the
// producer's.
template <class Push, class PopOwn, class PopTail>
void produce_and_consume(std::uint64_t count, Push push, PopOwn pop_own, PopTail pop_tail) {
  std::vector<std::atomic<std::uint8_t>> seen(count);
  std::atomic<std::uint64_t> taken{0};
  std::uint64_t at_head = 0;
  Findings findings;
  const auto take = [&](void* object) {
    const Item* const item = static_cast<Item*>(object);
    findings.expect(item->intact(), "an item is damaged");
    findings.expect(
        item->key < count && seen[item->key].fetch_add(1, std::memory_order_relaxed) == 0,
        "an item was seen twice");
    taken.fetch_add(1, std::memory_order_relaxed);
  };
  std::vector<std::thread> consumers;
  for (std::size_t c = 0; c < kConsumers; ++c) {
    consumers.emplace_back([&] {
      while (taken.load(std::memory_order_relaxed) < count) {
        if (void* const object = pop_tail()) {
          take(object);
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    Item* const item = gc::make<Item>(i);
    while (!push(item)) std::this_thread::yield();
    if (i % 10 != 0) continue;
    if (void* const object = pop_own()) {
      take(object);
      ++at_head;
    }
  }
  for (std::thread& consumer : consumers) consumer.join();
  INFO(findings.first());
  CHECK(findings.count() == 0);
  CHECK(taken.load() == count);
  CHECK(at_head > 0);
}

TEST_CASE("ring: one producer and nine consumers see each item exactly once") {
  gc::root<Ring> ring(gc::make<Ring>(16u));
  produce_and_consume(
      scaled(2'000'000), [&](Item* item) { return ring->push_head(item); },
      [&] { return ring->pop_head(); }, [&] { return ring->pop_tail(); });
}

TEST_CASE("chain: one producer and nine consumers see each item exactly once") {
  gc::root<Local> local(gc::make<Local>());
  produce_and_consume(
      scaled(2'000'000),
      [&](Item* item) {
        sync::detail::push_head(*local, item);
        return true;
      },
      [&] { return sync::detail::pop_head(*local); },
      [&] { return sync::detail::pop_tail(*local); });
}

}  // namespace
}  // namespace tricolor::tests
